//! Configurations that are trees: Docker's JSON and Maven's XML. Written again from what was understood of them.
//!
//! Sources: RFC 8259; XML 1.0 without document types, whose entities could spell anything.

use super::secret::{cleaned, is_secret_key};
use serde_json::{Map, Value};

/// JSON without its secrets: values by key, all of a tree below a secret's key.
pub fn json(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    serde_json::to_string_pretty(&without("", value)?).ok().map(|text| text + "\n")
}

fn without(key: &str, value: Value) -> Option<Value> {
    match value {
        Value::Object(entries) => {
            let kept = entries.into_iter().filter(|(key, _)| !is_secret_key(key));
            let cleaned = kept.map(|(key, value)| Some((cleaned("", &key)?, without(&key, value)?)));
            cleaned.collect::<Option<Map<String, Value>>>().map(Value::Object)
        }
        Value::Array(items) => items.into_iter().map(|item| without(key, item)).collect::<Option<Vec<_>>>().map(Value::Array),
        Value::String(text) => cleaned(key, &text).map(Value::String),
        other => Some(other),
    }
}

/// Elements of Maven's settings that hold credentials and nothing else.
const LEFT_OUT: &[&str] = &["servers", "username"];
const DEPTH_MAX: usize = 64;

/// XML without comments, and without elements that name a secret.
pub fn xml(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut open: Vec<&str> = Vec::new();
    // At which depth what is left out began.
    let mut left_out: Option<usize> = None;
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        if left_out.is_none() {
            out.push_str(&characters(open.last().copied().unwrap_or_default(), before)?);
        }
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = comment.split_once("-->")?.1;
            continue;
        }
        let end = tag.find('>')? + 1;
        let (whole, after) = tag.split_at(end);
        rest = after;
        let inner = whole.get(1..end - 1)?;
        if inner.starts_with('?') {
            inner.ends_with('?').then_some(())?;
        } else if let Some(name) = inner.strip_prefix('/') {
            (open.pop()? == name.trim()).then_some(())?;
            if left_out == Some(open.len()) {
                left_out = None;
                continue;
            }
        } else {
            let name = element(inner)?;
            if left_out.is_none() && (LEFT_OUT.contains(&name) || is_secret_key(name)) {
                left_out = Some(open.len());
            }
            if inner.ends_with('/') {
                if left_out == Some(open.len()) {
                    left_out = None;
                    continue;
                }
            } else {
                open.push(name);
                (open.len() <= DEPTH_MAX).then_some(())?;
            }
        }
        if left_out.is_none() {
            out.push_str(whole);
        }
    }
    (open.is_empty() && rest.trim().is_empty()).then(|| out + "\n")
}

/// The name of an element; its attributes are namespaces, or not understood.
fn element(inner: &str) -> Option<&str> {
    let inner = inner.trim_end_matches('/');
    let (name, attributes) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
    let is_name =
        !name.is_empty() && name.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | ':'));
    let known = attributes.split('"').step_by(2).all(|part| {
        let key = part.trim().trim_end_matches('=').trim();
        key.is_empty() || key == "xmlns" || key.starts_with("xmlns:") || key.starts_with("xsi:") || matches!(key, "xml:lang" | "xml:space")
    });
    (is_name && known && attributes.matches('"').count() % 2 == 0).then_some(name)
}

fn characters(element: &str, text: &str) -> Option<String> {
    // Character references could spell anything; the five names of XML's own cannot.
    (!text.contains("&#")).then(|| cleaned(element, text))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_hosts_stay_and_what_opens_them_does_not() {
        let text = r#"{"auths": {"r.example": {"auth": "dTpw", "identitytoken": "x"}}, "HttpHeaders": {"X": "y"}, "credsStore": "pass", "proxies": {"default": {"httpProxy": "http://u:p@h:1"}}}"#;
        let shown: Value = serde_json::from_str(&json(text).unwrap_or_default()).unwrap_or_default();
        let expected = r#"{"auths": {"r.example": {}}, "credsStore": "pass", "proxies": {"default": {"httpProxy": "http://h:1"}}}"#;
        assert_eq!(shown, serde_json::from_str::<Value>(expected).unwrap_or_default());
        assert_eq!(json("{"), None);
    }

    #[test]
    fn mavens_mirrors_stay_and_its_servers_do_not() {
        let text = "<?xml version=\"1.0\"?>\n<!-- pw: x -->\n<settings xmlns=\"http://m\" xsi:schemaLocation=\"a b\">\n<mirrors><mirror><url>https://u:p@m/</url></mirror></mirrors>\
                    <servers><server><id>a</id><password>x</password></server></servers>\
                    <proxies><proxy><host>h</host><username>u</username><password>p</password><x/></proxy></proxies></settings>";
        let expected = "<?xml version=\"1.0\"?>\n\n<settings xmlns=\"http://m\" xsi:schemaLocation=\"a b\">\n<mirrors><mirror><url>https://m/</url></mirror></mirrors>\
                        <proxies><proxy><host>h</host><x/></proxy></proxies></settings>\n";
        assert_eq!(xml(text).as_deref(), Some(expected));
        for text in ["<!DOCTYPE a><a/>", "<a", "<a></b>", "<a x=\"y\"/>", "<a xml:x=\"y\"/>", "<a>&#103;</a>", "<![CDATA[x]]>", "<a>", "x"]
        {
            assert_eq!(xml(text), None, "{text}");
        }
    }
}
