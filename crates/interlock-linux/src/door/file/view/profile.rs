//! AWS's profiles (`config`, `credentials`): settings of known names stay, of every other the value becomes a placeholder.
//!
//! A placeholder and not a gap: a client without keys would look for others, on the machine or at a metadata service.
//! Source: the AWS CLI's and SDKs' reference of shared configuration files.

use super::capability;
use super::secret::{PLACEHOLDER, cleaned};

/// Settings that hold nothing that opens anything.
const SHOWN: &[&str] = &[
    "region",
    "output",
    "role_arn",
    "source_profile",
    "credential_source",
    "mfa_serial",
    "duration_seconds",
    "role_session_name",
    "sso_session",
    "sso_start_url",
    "sso_region",
    "sso_account_id",
    "sso_role_name",
    "sso_registration_scopes",
    "ca_bundle",
    "cli_pager",
    "cli_auto_prompt",
    "cli_timestamp_format",
    "endpoint_url",
    "retry_mode",
    "max_attempts",
    "defaults_mode",
    "use_fips_endpoint",
    "use_dualstack_endpoint",
    "sts_regional_endpoints",
    "services",
    // Below `s3 =`.
    "max_concurrent_requests",
    "max_queue_size",
    "max_bandwidth",
    "multipart_threshold",
    "multipart_chunksize",
    "use_accelerate_endpoint",
    "addressing_style",
    "payload_signing_enabled",
    "preferred_transfer_client",
    "signature_version",
];

/// Sections of `key = value`.
pub fn profiles(text: &str) -> Option<String> {
    let mut out = String::new();
    for line in text.lines() {
        let plain = line.trim();
        if plain.starts_with('[') {
            let section = uncommented(plain);
            section.ends_with(']').then_some(())?;
            out.push_str(&cleaned("", section)?);
        } else if !plain.is_empty() && !plain.starts_with(['#', ';']) {
            out.push_str(&setting(line)?);
        }
        out.push('\n');
    }
    Some(out)
}

fn setting(line: &str) -> Option<String> {
    let (before, value) = line.split_once('=')?;
    let (key, value) = (before.trim(), uncommented(value).trim());
    let is_known = SHOWN.contains(&key);
    // An indented line may go on with the value above it, and a line of base64 looks like a key.
    if line.starts_with([' ', '\t']) && !is_known {
        return None;
    }
    let is_name = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_name || key.split('_').any(capability::is_token) {
        return None;
    }
    let shown = if value.is_empty() { Some(String::new()) } else { cleaned(key, value).filter(|_| is_known) };
    Some(format!("{} = {}", before.trim_end(), shown.as_deref().unwrap_or(PLACEHOLDER)).trim_end().to_owned())
}

fn uncommented(text: &str) -> &str {
    text.split(" #").next().and_then(|text| text.split(" ;").next()).unwrap_or(text).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_stay_and_their_keys_do_not() {
        let text = "# AKIAOLD\n[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key=wJalr/bPx\n\n[profile dev] # mine\nregion = eu-west-1 # near\n\
                    role_arn = arn:aws:iam::123456789012:role/dev\nexternal_id = hunter2\ncredential_process = /x --password y\ns3 =\n  max_queue_size = 10\n";
        let expected = "\n[default]\naws_access_key_id = interlock-masked\naws_secret_access_key = interlock-masked\n\n[profile dev]\nregion = eu-west-1\n\
                        role_arn = arn:aws:iam::123456789012:role/dev\nexternal_id = interlock-masked\ncredential_process = interlock-masked\ns3 =\n  max_queue_size = 10\n";
        assert_eq!(profiles(text).as_deref(), Some(expected));
        assert_eq!(profiles("[d]\nendpoint_url = https://u:p@h/\n").as_deref(), Some("[d]\nendpoint_url = https://h/\n"));
    }

    #[test]
    fn what_goes_on_in_another_line_is_not_shown() {
        for text in ["[d]\naws_secret_access_key = abc\n  defg==\n", "abc\n", "[d\n", "[d]\nQUJDREVG0x=\n", "[d]\nx1y2z3w4k5 = a\n"] {
            assert_eq!(profiles(text), None, "{text}");
        }
    }
}
