//! The masked view of a configuration: what a tool goes by (registries, proxies, certificates) without what opens anything (tokens, passwords).
//!
//! RULE: it is made of the file that is held, at each open, and what is not understood is not shown. A tool is given the view whole or is
//! refused aloud; what it would trust outside it trusts inside.
//! Left out: which files (policy says), and writing: what is opened to be written has no view.

mod capability;
mod lines;
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

/// The text of a file as it is shown; nothing where it is not understood.
pub type View = fn(&str) -> Option<String>;

/// Where policy looks for the view of the file called `name`: in the session's own folder, where there is nothing else.
pub fn place(session: &Session, name: &[u8]) -> Vec<u8> {
    let folder = session.inside.parent().unwrap_or(&session.inside);
    [folder.as_os_str().as_bytes(), b"/view", name].concat()
}

/// The view of a file by what it is called; nothing for a name that does not say its form.
pub fn of(name: &[u8]) -> Option<View> {
    let name = std::str::from_utf8(name).ok()?;
    let (folder, last) = name.rsplit_once('/')?;
    let plain = last.trim_start_matches(['.', '_']);
    match (plain, plain.rsplit_once('.').map_or("", |(_, kind)| kind)) {
        ("npmrc" | "yarnrc" | "pypirc", _) | (_, "conf" | "ini") => Some(lines::ini),
        ("netrc", _) => Some(lines::netrc),
        (_, "yml" | "yaml") => Some(lines::yaml),
        (_, "toml") => Some(toml::toml),
        ("config" | "credentials", _) if folder.ends_with("cargo") => Some(toml::toml),
        (_, "json") => Some(trees::json),
        (_, "xml") => Some(trees::xml),
        _ => None,
    }
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
    match text_of(bytes).and_then(|text| view(&text)) {
        Some(text) => files::sealed(text.as_bytes()).map(Some),
        None => Ok(None),
    }
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
    use super::text_of;

    #[test]
    fn lines_that_clients_see_differently_are_not_shown() {
        assert!(text_of(b"registry=https://r/\r\n".to_vec()).is_some());
        for text in [&b"registry=https://r/\r//r/:_authToken=x\n"[..], b"a\0b", b"a\x0bb", b"\xff"] {
            assert!(text_of(text.to_vec()).is_none(), "{text:?}");
        }
    }
}
