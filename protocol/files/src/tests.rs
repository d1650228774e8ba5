use super::*;

/// Does the calls, and refuses the one with the number `fails`; a file is half written first.
#[derive(Default)]
struct Faulty {
    made: Vec<&'static str>,
    fails: Option<usize>,
    folder: Option<PathBuf>,
}

impl Faulty {
    fn call(&mut self, name: &'static str) -> io::Result<()> {
        self.made.push(name);
        if self.fails == Some(self.made.len() - 1) {
            return Err(io::Error::other("injected"));
        }
        Ok(())
    }
}

impl Calls for Faulty {
    fn create(&mut self, next: &Path) -> io::Result<File> {
        self.call("create")?;
        System.create(next)
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        System.write(file, &bytes[..bytes.len() / 2])?;
        self.call("write")?;
        System.write(file, &bytes[bytes.len() / 2..])
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        self.call("sync")?;
        System.sync(file)
    }

    fn rename(&mut self, next: &Path, path: &Path) -> io::Result<()> {
        self.call("rename")?;
        System.rename(next, path)
    }

    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        self.folder = Some(folder.to_owned());
        self.call("sync folder")?;
        System.sync_folder(folder)
    }
}

const ORDER: [&str; 5] = ["create", "write", "sync", "rename", "sync folder"];

#[test]
fn a_file_is_written_and_synced_before_it_is_renamed_and_its_folder_is_synced_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state");
    let mut calls = Faulty::default();
    replace_on(&mut calls, &path, b"new").expect("replaced");
    assert_eq!(calls.made, ORDER);
    assert_eq!(calls.folder.as_deref(), Some(folder.path()));
    assert_eq!(fs::read(&path).expect("read"), b"new");
    assert!(!next_of(&path).exists());
}

#[test]
fn whichever_call_fails_the_file_is_the_former_or_the_new_one_and_the_next_try_succeeds() {
    for fails in 0..ORDER.len() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        replace(&path, b"former").expect("replaced");
        let mut calls = Faulty {
            fails: Some(fails),
            ..Faulty::default()
        };
        replace_on(&mut calls, &path, b"newer one").expect_err("a call fails");
        assert_eq!(calls.made, ORDER[..=fails], "nothing after a failure");
        let expected: &[u8] = if fails < 4 { b"former" } else { b"newer one" };
        assert_eq!(fs::read(&path).expect("read"), expected, "call {fails}");
        replace(&path, b"newest").expect("replaced");
        assert_eq!(fs::read(&path).expect("read"), b"newest");
    }
}

#[test]
fn a_file_that_is_ready_is_put_in_place_and_its_folder_is_synced() {
    let folder = tempfile::tempdir().expect("a folder");
    let (next, path) = (
        folder.path().join("a.key.next"),
        folder.path().join("a.key"),
    );
    fs::write(&next, b"new").expect("written");
    let mut calls = Faulty::default();
    put_on(&mut calls, &next, &path).expect("put");
    assert_eq!(calls.made, ["rename", "sync folder"]);
    assert_eq!(fs::read(&path).expect("read"), b"new");
    put(&next, &path).expect_err("it is gone");
}

#[test]
fn an_empty_folder_is_that_of_the_process_and_a_missing_one_is_an_error() {
    sync_folder(Path::new("")).expect("synced");
    let folder = tempfile::tempdir().expect("a folder");
    let missing = sync_folder(&folder.path().join("missing"));
    assert_eq!(missing.is_err(), cfg!(unix));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_it_whatever_stood_there_before() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state");
    let mode = || fs::metadata(&path).expect("there").permissions().mode() & 0o777;
    replace(&path, b"new").expect("replaced");
    assert_eq!(mode(), 0o600);

    for open in [&path, &next_of(&path)] {
        fs::write(open, b"open").expect("written");
        fs::set_permissions(open, fs::Permissions::from_mode(0o666)).expect("opened");
    }
    replace(&path, b"new").expect("replaced");
    assert_eq!(mode(), 0o600, "a file that was open to others");

    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, b"kept").expect("written");
    symlink(&elsewhere, next_of(&path)).expect("linked");
    replace(&path, b"new").expect("replaced");
    assert_eq!(
        fs::read(&elsewhere).expect("read"),
        b"kept",
        "no link is followed"
    );
}
