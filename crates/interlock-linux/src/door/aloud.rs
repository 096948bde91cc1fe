//! A word to the standard error of a process of the session, for what no errno can say: a refusal that comes after the call, or one that needs names.
//!
//! Only to what the process may write to itself, and where nobody takes the writer for somebody else: a pipe, a pseudo-terminal, one end of a socket
//! pair. Nothing is waited for. Left out: what is said.

use super::seen::ground::Ground;
use crate::sys::errno::Sys;
use crate::sys::{files, sockets};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// Bytes of a name that is told.
const NAME_BYTES_MAX: usize = 256;
/// Major numbers of pseudo-terminals (Documentation/admin-guide/devices.txt).
const TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;

/// Says these lines to the standard error of a process (`Makers::standard_error`), as whom this thread acts. Whether anybody hears it, nobody knows.
pub fn say(ground: &Ground, file: &OwnedFd, lines: &str) {
    let _unheard: Sys<()> = said(ground, file, lines.as_bytes());
}

/// A name in such a line.
#[must_use]
pub fn printable(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name.get(..name.len().min(NAME_BYTES_MAX)).unwrap_or_default());
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

fn said(ground: &Ground, file: &OwnedFd, text: &[u8]) -> Sys<()> {
    let (stat, flags) = (files::stat(file.as_fd())?, files::open_flags(file.as_fd())?);
    if flags & libc::O_PATH != 0 || flags & libc::O_ACCMODE == libc::O_RDONLY {
        return Ok(()); // the process could not write to it either
    }
    match stat.kind() {
        libc::S_IFSOCK if is_pair(file.as_fd()) => {
            sockets::send(file.as_fd(), &[], text, &[], libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)?;
        }
        libc::S_IFIFO => written(ground, file, text)?,
        libc::S_IFCHR if TERMINALS.contains(&libc::major(stat.special)) => written(ground, file, text)?,
        _ => {}
    }
    Ok(())
}

/// By an open file of one's own, whose flags are nobody else's.
fn written(ground: &Ground, file: &OwnedFd, text: &[u8]) -> Sys<()> {
    let own = files::reopen(ground.own.as_fd(), file.as_fd(), libc::O_WRONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0)?;
    Ok(std::io::Write::write_all(&mut std::fs::File::from(own), text)?)
}

/// Whether neither end of a local socket has a name, as those of a pair.
fn is_pair(socket: BorrowedFd<'_>) -> bool {
    let unnamed = (libc::AF_UNIX as u16).to_ne_bytes();
    let names = [sockets::local_name(socket), sockets::peer_name(socket)];
    names.into_iter().all(|name| name.is_ok_and(|name| name == unnamed))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn a_pipe_and_a_socket_pair_hear_it_and_a_socket_with_a_name_does_not() {
        let ground = Ground::open().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        said(&ground, &writer.into(), b"word\n").unwrap();
        let mut heard = [0; 5];
        reader.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"word\n");

        let (mut ours, theirs) = UnixStream::pair().unwrap();
        said(&ground, &theirs.into(), b"word\n").unwrap();
        ours.read_exact(&mut heard).unwrap();

        let name = std::env::temp_dir().join(format!("aloud-{}", std::process::id()));
        let listener = UnixListener::bind(&name).unwrap();
        let client = UnixStream::connect(&name).unwrap();
        std::fs::remove_file(&name).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        said(&ground, &client.into(), b"word\n").unwrap();
        assert_eq!(server.read(&mut heard).unwrap(), 0);
    }

    #[test]
    fn what_the_process_may_not_write_to_is_left_alone() {
        let ground = Ground::open().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        said(&ground, &reader.try_clone().unwrap().into(), b"word\n").unwrap();
        drop(writer);
        let mut heard = Vec::new();
        std::fs::File::from(OwnedFd::from(reader)).read_to_end(&mut heard).unwrap();
        assert!(heard.is_empty());
    }

    #[test]
    fn a_name_has_no_control_characters_and_an_end() {
        assert_eq!(printable(b"/w/\x1b[2J\n\xff"), "/w/?[2J?\u{fffd}");
        assert!(printable(&[b'x'; 9999]).len() <= NAME_BYTES_MAX);
    }
}
