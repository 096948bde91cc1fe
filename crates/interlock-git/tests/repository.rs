//! What git itself wrote, loose and packed, and what somebody else put in its place.
#![allow(clippy::unwrap_used)]

use interlock_git::{Anchors, Entry, Format, Id, Past, Revisions, Store, brought, has_file};
use std::path::{Path, PathBuf};
use std::process::Command;

struct Repository(PathBuf);

impl Repository {
    fn new(name: &str) -> Self {
        Self::of(name, "sha1")
    }

    fn of(name: &str, format: &str) -> Self {
        let top = std::env::temp_dir().join(format!("interlock-git-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&top));
        std::fs::create_dir_all(&top).unwrap();
        let made = Self(top);
        made.git(&["init", "-q", "-b", "main", &format!("--object-format={format}")]);
        made
    }

    fn git(&self, words: &[&str]) {
        let mut command = Command::new("git");
        for who in ["GIT_AUTHOR", "GIT_COMMITTER"] {
            command.env(format!("{who}_NAME"), "a").env(format!("{who}_EMAIL"), "a@example.org");
        }
        let done = command.env("GIT_CONFIG_GLOBAL", "/dev/null").args(words).current_dir(&self.0).output().unwrap();
        assert!(done.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn commit(&self, path: &str, content: &str) {
        let file = self.0.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", "x"]);
    }

    fn past(&self) -> Past {
        let git = self.0.join(".git");
        Past::new(Store::of(vec![git.join("objects")]), Anchors::read(&git, &git))
    }

    fn objects(&self) -> PathBuf {
        self.0.join(".git/objects")
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn files(past: &Past, path: &str) -> Vec<Entry> {
    past.at(path.as_bytes(), &|| true).unwrap().into_iter().collect()
}

fn long(last: usize) -> String {
    (0..=200 + last).map(|line| format!("line {line} of a file that changes a little\n")).collect()
}

#[test]
fn each_commit_that_is_named_counts_loose_and_packed() {
    each_commit_counts(Repository::new("named"));
}

#[test]
fn so_it_does_where_ids_are_of_sha_256() {
    let repository = Repository::of("long", "sha256");
    repository.commit("f", "first\n");
    assert_eq!(files(&repository.past(), "f"), [Entry::File(Id::of_blob(Format::Sha256, b"first\n"))]);
    each_commit_counts(repository);
}

fn each_commit_counts(repository: Repository) {
    (0..20).for_each(|number| repository.commit("a/.tool/settings", &long(number)));
    repository.git(&["checkout", "-qb", "other", "HEAD~3"]);
    repository.commit("a/.tool/settings", "other\n");
    repository.git(&["tag", "-am", "t", "marked"]);
    repository.git(&["checkout", "-q", "main"]);
    let wanted = |past: &Past| {
        let found = past.at(b"a/.tool/settings", &|| true).unwrap();
        (0..20).all(|number| has_file(&found, long(number).as_bytes())) && has_file(&found, b"other\n") && !has_file(&found, b"none\n")
    };
    assert!(wanted(&repository.past()));
    repository.git(&["pack-refs", "--all"]);
    repository.git(&["gc", "-q", "--aggressive"]);
    assert!(std::fs::read_dir(repository.objects().join("pack")).unwrap().count() >= 2);
    assert!(wanted(&repository.past()));
    assert!(matches!(files(&repository.past(), "a/.tool").as_slice(), [Entry::Folder(_), ..]));
    for nothing in ["", "a/", "/a", "b", "a/.tool/settings/x", "a/.tool/x"] {
        assert!(files(&repository.past(), nothing).is_empty(), "{nothing}");
    }
}

#[test]
fn what_is_named_or_written_later_counts_for_nothing() {
    let repository = Repository::new("later");
    repository.commit("f", "first\n");
    let past = repository.past();
    repository.commit("f", "second\n");
    repository.git(&["update-ref", "refs/heads/x", "HEAD"]);
    assert_eq!(files(&past, "f"), [Entry::File(Id::of_blob(Format::Sha1, b"first\n"))]);
}

#[test]
fn an_object_that_is_not_what_its_id_says_is_none() {
    let repository = Repository::new("swapped");
    repository.commit("f", "first\n");
    let past = repository.past();
    // Before anything was read: the first commit's tree is put in the place of another.
    let place = |id: &str| -> PathBuf { repository.objects().join(id.split_at(2).0).join(id.split_at(2).1) };
    let word = |words: &[&str]| {
        let out = Command::new("git").args(words).current_dir(&repository.0).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    };
    let before = word(&["rev-parse", "HEAD^{tree}"]);
    repository.commit("f", "second\n");
    let after = word(&["rev-parse", "HEAD^{tree}"]);
    replace(&place(&before), &std::fs::read(place(&after)).unwrap());
    assert!(files(&past, "f").is_empty());
}

#[test]
fn broken_objects_are_none() {
    for content in [b"".as_slice(), b"x", &[0x78, 0x9c, 0xff, 0xff], &[0; 4096]] {
        let repository = Repository::new(&format!("broken-{}", content.len()));
        repository.commit("f", "first\n");
        let past = repository.past();
        for folder in std::fs::read_dir(repository.objects()).unwrap().flatten().filter(|folder| folder.file_name().len() == 2) {
            std::fs::read_dir(folder.path()).unwrap().flatten().for_each(|object| replace(&object.path(), content));
        }
        assert!(files(&past, "f").is_empty());
    }
}

fn replace(path: &Path, content: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn a_word_names_what_git_says_it_does() {
    let repository = Repository::new("words");
    (0..3).for_each(|number| repository.commit("f", &long(number)));
    repository.git(&["branch", "a/b", "HEAD~1"]);
    repository.git(&["tag", "v1", "HEAD~2"]);
    repository.git(&["update-ref", "refs/remotes/origin/main", "HEAD~1"]);
    repository.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"]);
    repository.git(&["fetch", "-q", ".", "v1"]);
    let git = repository.0.join(".git");
    for packed in [false, true] {
        if packed {
            repository.git(&["pack-refs", "--all"]);
        }
        let revisions = Revisions::of(&git, &git);
        for word in ["HEAD", "main", "a/b", "heads/a/b", "refs/heads/a/b", "v1", "origin/main", "origin", "FETCH_HEAD"] {
            let said = Command::new("git").args(["rev-parse", word]).current_dir(&repository.0).output().unwrap();
            assert_eq!(
                revisions.find(word.as_bytes()).unwrap().hex(),
                String::from_utf8(said.stdout).unwrap().trim(),
                "{word}, packed {packed}"
            );
        }
        for word in ["", "b", "nothing", "../.git/HEAD", "/etc/hostname", "refs//heads/main", "config", "a/../main", "."] {
            assert_eq!(revisions.find(word.as_bytes()), None, "{word}");
        }
    }
}

#[test]
fn what_a_commit_brings_is_what_git_says_differs() {
    let repository = Repository::new("brought");
    repository.commit("a/.tool/settings", "1");
    repository.commit("same/file", "1");
    repository.commit("gone", "1");
    repository.git(&["rm", "-q", "gone"]);
    repository.commit("a/.tool/settings", "2");
    repository.commit("new/folder/file", "1");
    let (past, git) = (repository.past(), repository.0.join(".git"));
    let revisions = Revisions::of(&git, &git);
    let head = revisions.find(b"HEAD").unwrap();
    let parent = past.parent_of(head, &|| true).unwrap();
    let before = past.parent_of(past.parent_of(parent, &|| true).unwrap(), &|| true).unwrap();
    let paths = |from| -> Vec<String> {
        brought(&past, from, head, &|| true).unwrap().into_iter().map(|(path, _)| String::from_utf8(path).unwrap()).collect()
    };
    assert_eq!(paths(Some(before)), ["a/.tool/settings", "new/folder/file"]);
    assert_eq!(paths(Some(parent)), ["new/folder/file"]);
    assert_eq!(paths(None), ["a/.tool/settings", "new/folder/file", "same/file"]);
    assert_eq!(paths(Some(head)), Vec::<String>::new());
}

/// However few steps a question gets, what it learns of commits counts for the next, and what it did not learn is not taken for absent.
#[test]
fn a_question_that_is_cut_short_has_no_answer_and_the_next_goes_on_from_there() {
    let repository = Repository::new("short");
    (0..20).for_each(|number| repository.commit("a/.tool/settings", &long(number)));
    repository.git(&["gc", "-q"]);
    let (past, whole) = (repository.past(), files(&repository.past(), "a/.tool/settings"));
    assert_eq!(whole.len(), 20);
    let mut cut = 0;
    for steps in (0..).step_by(7) {
        let left = std::cell::Cell::<usize>::new(steps);
        let goes_on = || left.replace(left.get().saturating_sub(1)) > 0;
        match past.at(b"a/.tool/settings", &goes_on) {
            None => cut += 1,
            Some(found) => {
                assert_eq!(found.into_iter().collect::<Vec<_>>(), whole);
                break;
            }
        }
    }
    assert!(cut > 3, "{cut}");
    assert_eq!(past.at(b"a/.tool/settings", &|| false), None);
}
