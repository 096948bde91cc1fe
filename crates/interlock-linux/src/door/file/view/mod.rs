//! The masked view of a configuration: what a tool goes by (registries, proxies, certificates) without what opens anything (tokens, passwords).
//!
//! RULE: it is made of the file that is held, at each open, and what is not understood is not shown. A tool is given the view whole or is
//! refused aloud; what it would trust outside it trusts inside. Package clients go on without what is left out; where a gap would be read as
//! something else (clusters, clouds, `.env`), a placeholder stands in it.
//! Left out: which files (policy says), and writing: what is opened to be written has no view.

mod block;
mod capability;
mod environment;
mod lines;
mod profile;
mod secret;
mod toml;
mod trees;

use crate::door::session::Session;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

/// Longest configuration that is shown, in bytes.
const BYTES_MAX: u64 = 1024 * 1024;
/// The last line of a view, for whoever reads it inside.
const NOTE: &str = "# Interlock shows this file without its credentials";

/// How a file of one form is shown.
#[derive(Clone, Copy)]
pub struct View {
    /// Its text as it is shown; nothing where it is not understood.
    text: fn(&str) -> Option<String>,
    /// Whether a line may begin with `#`, to say what this is.
    has_comments: bool,
}

/// Where policy looks for a view: in the session's own folder, where there is nothing else. All have one name there, for one that told the file's
/// would be steered as the file is (`**/.env`).
pub fn place(session: &Session) -> Vec<u8> {
    let folder = session.inside.parent().unwrap_or(&session.inside);
    [folder.as_os_str().as_bytes(), b"/view/masked"].concat()
}

/// The view of a file by what it is called; nothing for a name that does not say its form.
pub fn of(name: &[u8]) -> Option<View> {
    let name = std::str::from_utf8(name).ok()?;
    let (folder, last) = name.rsplit_once('/')?;
    let plain = last.trim_start_matches(['.', '_']);
    let kind = plain.rsplit_once('.').map_or("", |(_, kind)| kind);
    let lines = |text| Some(View { text, has_comments: true });
    let words = |text| Some(View { text, has_comments: false });
    match (plain, kind) {
        _ if last == ".env" || last.starts_with(".env.") || kind == "env" => lines(environment::environment),
        _ if plain == "kubeconfig" || kind == "kubeconfig" || is_clusters_folder(folder, kind) => lines(block::block),
        ("config" | "credentials", _) if folder.ends_with(".aws") => lines(profile::profiles),
        ("hosts.yml", _) if folder.ends_with("/gh") => lines(block::block),
        ("npmrc" | "yarnrc" | "pypirc", _) | (_, "conf" | "ini") => lines(lines::ini),
        ("netrc", _) => words(lines::netrc),
        (_, "yml" | "yaml") => lines(yaml),
        (_, "toml") => lines(toml::toml),
        ("config" | "credentials", _) if folder.ends_with("cargo") => lines(toml::toml),
        (_, "json") => words(trees::json),
        (_, "xml") => words(trees::xml),
        _ => None,
    }
}

/// Whether kubectl or a node keeps what it goes by there, under any name.
fn is_clusters_folder(folder: &str, kind: &str) -> bool {
    (folder.ends_with("/.kube") && matches!(kind, "" | "yaml" | "yml")) || (folder == "/etc/kubernetes" && kind == "conf")
}

fn yaml(text: &str) -> Option<String> {
    if block::is_clusters(text) { block::block(text) } else { lines::yaml(text) }
}

/// A file of nobody else's that holds the view of `file`, to be read alone. `None`: it is not understood.
///
/// # Errors
/// What the kernel says to reading and making.
pub fn shown(view: View, file: OwnedFd) -> Sys<Option<OwnedFd>> {
    let mut bytes = Vec::new();
    let mut file = std::fs::File::from(file);
    let regular = files::stat(file.as_fd())?.kind() == libc::S_IFREG;
    if !regular || (&mut file).take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(Errno::from)? as u64 > BYTES_MAX {
        return Ok(None);
    }
    match text_of(bytes).and_then(|text| whole(view, &text)) {
        Some(text) => files::sealed(text.as_bytes()).map(Some),
        None => Ok(None),
    }
}

/// The view, told to be one where it differs, and as long as the file where it is shorter: who asked for the size by name reads as much.
fn whole(view: View, text: &str) -> Option<String> {
    let mut shown = (view.text)(text)?;
    if !text.ends_with('\n') {
        shown.truncate(shown.trim_end_matches('\n').len());
    }
    if shown == text {
        return Some(shown);
    }
    let (begins, ends) = if shown.is_empty() || shown.ends_with('\n') { ("", "\n") } else { ("\n", "") };
    let note = if view.has_comments { NOTE } else { "" };
    let lacking = text.len().saturating_sub(shown.len());
    let spaces = lacking.saturating_sub(begins.len() + note.len() + ends.len());
    if !note.is_empty() || lacking > 0 {
        shown.extend([begins, note, &" ".repeat(spaces), ends]);
    }
    Some(shown)
}

/// Text of lines; nothing where a client could see other lines. A carriage return alone ends one to some, and not to others.
fn text_of(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let is_text = |character: char| !character.is_control() || matches!(character, '\n' | '\r' | '\t');
    let has_lone_returns = text.matches('\r').count() != text.matches("\r\n").count();
    (text.chars().all(is_text) && !has_lone_returns).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{of, text_of, whole};

    #[test]
    fn lines_that_clients_see_differently_are_not_shown() {
        assert!(text_of(b"registry=https://r/\r\n".to_vec()).is_some());
        for text in [&b"registry=https://r/\r//r/:_authToken=x\n"[..], b"a\0b", b"a\x0bb", b"\xff"] {
            assert!(text_of(text.to_vec()).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_view_is_as_long_as_the_file_and_says_what_it_is() {
        let of = |name: &str, text: &str| of(name.as_bytes()).and_then(|view| whole(view, text)).unwrap_or_default();
        let token = "s".repeat(60);
        for (name, text) in [
            ("/h/.npmrc", format!("registry=https://r/\n//r/:_authToken={token}\n")),
            ("/h/.npmrc", format!("//r/:_authToken={token}\nregistry=https://r/")),
            ("/h/.netrc", format!("machine a\nlogin b\npassword {token}")),
            ("/h/.docker/config.json", format!("{{\"auths\": {{\"r\": {{\"auth\": \"{token}\"}}}}}}")),
            ("/w/.env", format!("A={token}{token}\n")),
        ] {
            let shown = of(name, &text);
            assert_eq!((shown.len(), shown.contains(&token)), (text.len(), false), "{shown:?}");
            assert_eq!(shown.contains("# Interlock"), !name.ends_with("netrc") && !name.ends_with("json"), "{shown:?}");
        }
        assert_eq!(of("/h/.npmrc", "registry=https://r/"), "registry=https://r/");
        assert_eq!(of("/w/.env", "A=b"), "A=interlock-masked\n# Interlock shows this file without its credentials");
    }

    #[test]
    fn forms_are_told_by_names() {
        for (name, text) in [
            ("/h/.kube/config", "token: hunter2\n"),
            ("/h/.kube/prod", "token: hunter2\n"),
            ("/h/prod.kubeconfig", "token: hunter2\n"),
            ("/h/prod.yaml", "kind: Config\ntoken: hunter2\n"),
            ("/h/.config/gh/hosts.yml", "a:\n  oauth_token: hunter2\n"),
            ("/h/.aws/credentials", "[a]\naws_secret_access_key = hunter2\n"),
            ("/w/.env.local", "A=hunter2\n"),
            ("/w/prod.env", "A=hunter2\n"),
        ] {
            let shown = of(name.as_bytes()).and_then(|view| whole(view, text)).unwrap_or_default();
            assert!(shown.contains("interlock-masked") && !shown.contains("hunter2"), "{name}: {shown}");
        }
        assert!(of(b"/h/.kube/cache/x.json").is_some() && of(b"/h/.kube/x.bin").is_none());
    }
}
