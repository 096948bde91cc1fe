//! Addresses that are a key themselves: of `https://host/TOKEN/simple` whoever has the address has what it opens, as packages are served by token.
//!
//! Such a token is shorter than what is one wherever it stands (`secret`), so it is looked for in what follows the host of a URL, and nowhere else.
//! RULE: names are made of words and numbers, tokens are not. A run of letters and digits changes between the two more often in a token, and is
//! one if its pieces (a word, a capital with its word, a number) are short. What is neither for sure is a token: the file is refused aloud.
//! Left out: tokens of letters in one case, which are words as well.

/// Shorter runs are names (`cu121`, `maven2`, `v3`).
const RUN_MIN: usize = 8;
/// From so many characters on a run may have longer pieces and is a token still.
const LONG_RUN_MIN: usize = 12;
const PIECES_MIN: usize = 4;
/// Hosts that call a project by a number of this form: it is public.
const CALLED_BY_UUID: &[&str] = &["pkgs.dev.azure.com", ".pkgs.visualstudio.com"];
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// Whether what stands behind the host of a URL holds a token.
pub fn is_one(host: &str, behind: &str) -> bool {
    let is_called_so = CALLED_BY_UUID.iter().any(|called| host == *called || (called.starts_with('.') && host.ends_with(called)));
    let parts = || behind.split(|character: char| !(character.is_ascii_alphanumeric() || character == '-'));
    let has_uuid = !is_called_so && parts().any(is_uuid);
    has_uuid || parts().filter(|part| !is_uuid(part)).flat_map(|part| part.split('-')).any(is_token)
}

fn is_uuid(part: &str) -> bool {
    let is_hexadecimal = |run: &str| run.bytes().all(|byte| byte.is_ascii_hexdigit());
    part.split('-').map(str::len).eq(UUID) && part.split('-').all(is_hexadecimal)
}

/// Whether a run of letters and digits is one.
pub fn is_token(run: &str) -> bool {
    let pieces = pieces(run);
    let has_digits = run.bytes().any(|byte| byte.is_ascii_digit());
    // At most 4.5 characters a piece in what is long and has digits, else at most 2.5.
    let longest_halves = if has_digits && run.len() >= LONG_RUN_MIN { 9 } else { 5 };
    run.len() >= RUN_MIN && pieces >= PIECES_MIN && run.len() * 2 < longest_halves * pieces
}

/// The words and numbers that a run is made of: a capital begins one, and several of them are one.
fn pieces(run: &str) -> usize {
    let kinds = run.bytes().map(|byte| match byte {
        b'0'..=b'9' => Piece::Number,
        b'A'..=b'Z' => Piece::Capital,
        _ => Piece::Small,
    });
    let mut last = None;
    let mut count = 0;
    for kind in kinds {
        let goes_on = last == Some(kind) || (last == Some(Piece::Capital) && kind == Piece::Small);
        count += usize::from(!goes_on);
        last = Some(kind);
    }
    count
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Number,
    Capital,
    Small,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_addresses_are_no_tokens() {
        for behind in [
            "/simple",
            "/api/v4/projects/12345678/packages/pypi/simple",
            "/artifactory/api/pypi/pypi-virtual/simple",
            "/repository/npm-group-2024/",
            "/my-project-123456/repo/simple/",
            "/whl/cu121",
            "/dl/android/maven2",
            "/SETTINGS/1.0.0",
            "/xsd/settings-1.0.0.xsd",
            "/maven/p/ij/intellij-dependencies",
            "/jax-releases/jax_cuda12_releases.html",
            "/node_20.x",
            "/content/repositories/snapshots",
            "/OWNER/SomeLongRepositoryName",
            "/debian12bookworm/manylinux2014",
            "/20241128/rolling",
            "/@scope/package",
            "",
        ] {
            assert!(!is_one("host", behind), "{behind}");
        }
        assert!(!is_one("pkgs.dev.azure.com", "/acme/6c2a1b3d-1111-2222-3333-444455556666/_packaging/feed/npm/registry/"));
        assert!(!is_one("acme.pkgs.visualstudio.com", "/6c2a1b3d-1111-2222-3333-444455556666/"));
    }

    #[test]
    fn short_tokens_in_addresses_are_known() {
        for behind in [
            "/aBcD1234eFgH5678/org/repo/python/simple/",
            "/1a2B3c4D5e6F7g8H9i0J/org/",
            "/k3J9xQ2mTz/simple",
            "/t0ken42x/simple",
            "/tok_k3J9xQ2mTz/simple",
            "/x7f3k9q2m4p8/npm",
            "/basic/9f8e7d6c5b4a/simple",
            "/QwErTyUiOpAs/simple",
            "/simple?s=a1b2c3d4e5",
            "/simple#a1b2c3d4e5",
            "/3f2504e0-4f89-11d3-9a0c-0305e82c3301/simple",
        ] {
            assert!(is_one("host", behind), "{behind}");
        }
        assert!(is_one("evilpkgs.dev.azure.com", "/6c2a1b3d-1111-2222-3333-444455556666/"));
    }
}
