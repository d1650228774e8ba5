//! Unix: modes, sockets; free space from the `df` of the system's own tables.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

/// The agent's socket.
pub(crate) type Channel = tokio::net::UnixStream;

/// Makes a file that only this user may read, and that was not there.
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Returns the bytes that may still be written at `folder`, where the system says.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let mut near = folder;
    while !near.exists() {
        near = near.parent()?;
    }
    let told = std::process::Command::new("df")
        .args(["-Pk"])
        .arg(near)
        .output()
        .ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    let blocks: u64 = text
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    Some(blocks.saturating_mul(1024))
}

/// Returns a folder that only this user can enter, made where it is not there.
pub(crate) fn private_folder(path: PathBuf) -> io::Result<PathBuf> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&path)?;
    let found = std::fs::symlink_metadata(&path)?;
    if !found.is_dir() || found.mode() & 0o077 != 0 {
        return Err(io::Error::other("the agent's folder is open to others"));
    }
    owned(&path, found.uid())?;
    Ok(path)
}

/// Makes a folder for what this user alone may read, or closes one of this user's to others.
///
/// # Errors
/// Where it belongs to somebody else, or cannot be made or closed.
pub(crate) fn own_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let found = std::fs::metadata(path)?;
    owned(path, found.uid())?;
    if found.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Refuses a folder of another user, who could put other files in the place of ours. A file that is
/// made now belongs to the user that this program runs as.
fn owned(folder: &Path, owner: u32) -> io::Result<()> {
    let probe = folder.join(format!(".owner-{}", std::process::id()));
    // What a crash of a program with the same number left is ours to remove.
    let _nothing_there = std::fs::remove_file(&probe).is_ok();
    let own = create_private(&probe)?.metadata()?.uid();
    std::fs::remove_file(&probe)?;
    if own == owner {
        Ok(())
    } else {
        let what = "the folder belongs to another user";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
    }
}

/// Connects to the agent.
pub(crate) async fn connect(path: &Path) -> io::Result<Channel> {
    tokio::net::UnixStream::connect(path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_another_user_is_refused_and_an_open_one_of_ours_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let ours = folder.path().join("ours");
        std::fs::create_dir(&ours).expect("made");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&ours, open).expect("opened");
        own_folder(&ours).expect("it is ours");
        let found = std::fs::metadata(&ours).expect("there");
        assert_eq!(found.mode() & 0o777, 0o700);
        owned(&ours, found.uid()).expect("it is ours");
        let theirs = owned(&ours, found.uid() ^ 1).expect_err("it is another's");
        assert_eq!(theirs.kind(), io::ErrorKind::PermissionDenied);
        let left = std::fs::read_dir(&ours).expect("there").count();
        assert_eq!(left, 0, "nothing is left behind");
    }
}
