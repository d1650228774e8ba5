//! Unix: file modes, signals and sockets of the service manager.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

/// Lets only the owner read and write the file that is made.
pub(crate) fn owner_only(options: &mut OpenOptions) {
    options.mode(0o600);
}

/// Returns how many bytes the disk below a folder has free for this user, and how many in all.
pub(crate) fn disk_space(folder: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some((bytes(disk.f_bavail), bytes(disk.f_blocks)))
}

/// Lets only the owner enter the folders that are made.
pub(crate) fn owner_only_folders(builder: &mut DirBuilder) {
    builder.mode(0o700);
}

/// Takes every right of group and others from what this process makes from now on.
pub(crate) fn private_umask() {
    let _before = rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Takes the rights of group and others from a file or folder; tells whether it had any.
pub(crate) fn close_to_others(path: &Path) -> io::Result<bool> {
    let mode = fs::metadata(path)?.mode();
    if mode & OTHERS == 0 {
        return Ok(false);
    }
    fs::set_permissions(path, Permissions::from_mode(mode & 0o700))?;
    Ok(true)
}

/// The rights of group and others.
const OTHERS: u32 = 0o077;

/// Returns the one TCP socket that the service manager listens on for this process, if any.
pub(crate) fn inherited_listener() -> io::Result<Option<TcpListener>> {
    let mut given = listenfd::ListenFd::from_env();
    match given.len() {
        0 => Ok(None),
        1 => given.take_tcp_listener(0),
        more => Err(io::Error::other(format!("{more} sockets, not one"))),
    }
}

/// Resolves when the system asks the process to stop.
pub(crate) async fn terminate() {
    match signal(SignalKind::terminate()) {
        Ok(mut told) => {
            told.recv().await;
        }
        Err(error) => {
            tracing::error!(%error, "SIGTERM cannot be heard");
            std::future::pending::<()>().await;
        }
    }
}

/// Returns how many files this process may have open, and up to how many it may raise that itself; none
/// where there is no bound.
pub(crate) fn open_files() -> Option<(u64, u64)> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let soft = limit.current?;
    Some((soft, limit.maximum.unwrap_or(u64::MAX)))
}

/// Raises how many files this process may have open to the most that it may.
pub(crate) fn raise_open_files() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let raised = |current| Rlimit {
        current,
        maximum: now.maximum,
    };
    // macOS takes no more than this, whatever it says.
    setrlimit(Resource::Nofile, raised(now.maximum))
        .or_else(|_refused| setrlimit(Resource::Nofile, raised(Some(OPEN_MAX))))
        .map_err(io::Error::from)
}

const OPEN_MAX: u64 = 10_240;
#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::Config;
    use crate::keys::{hold, write_private};
    use crate::state::AppState;

    fn mode(path: &Path) -> u32 {
        let known = fs::metadata(path).expect("it is there");
        known.permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("changed");
    }

    /// Returns everything below a folder, with the folder.
    fn below(folder: &Path) -> Vec<PathBuf> {
        let mut found = vec![folder.to_path_buf()];
        let mut next = 0;
        while let Some(path) = found.get(next).cloned() {
            next += 1;
            if path.is_dir() {
                let entries = fs::read_dir(&path).expect("a folder").flatten();
                found.extend(entries.map(|entry| entry.path()));
            }
        }
        found
    }

    #[tokio::test]
    async fn no_mask_of_the_process_opens_a_file_of_the_server_to_others() {
        let _before = rustix::process::umask(rustix::fs::Mode::empty());
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let state = AppState::open(&data, Config::default())
            .await
            .expect("a new folder");
        let held = hold(&data).expect("free");
        // A write makes SQLite's journals.
        state.auth.first_administrator().await.expect("stored");
        for path in below(&data) {
            let wanted = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), wanted, "{}", path.display());
        }
        assert!(
            data.join("qorgan.db-wal").is_file(),
            "a journal was looked at"
        );
        assert_eq!(mode(&folder.path().join("data.kek")), 0o600);
        drop(held);
    }

    #[tokio::test]
    async fn what_is_open_to_others_at_the_start_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let open = || AppState::open(&data, Config::default());
        open().await.expect("a new folder").store.close().await;
        let kek = folder.path().join("data.kek");
        let files = [data.join("qorgan.db"), data.join("sign.pk8"), kek];
        set_mode(&data, 0o755);
        for file in &files {
            set_mode(file, 0o644);
        }
        open().await.expect("mended").store.close().await;
        assert_eq!(mode(&data), 0o700);
        for file in &files {
            assert_eq!(mode(file), 0o600, "{}", file.display());
        }
    }

    #[test]
    fn a_private_file_that_is_written_again_is_closed_to_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("escrow");
        fs::write(&file, "old").expect("written");
        set_mode(&file, 0o644);
        write_private(&file, b"new").expect("written");
        assert_eq!(mode(&file), 0o600);
    }

    #[tokio::test]
    async fn a_backup_is_its_owners_alone() {
        let _before = rustix::process::umask(rustix::fs::Mode::empty());
        let folder = tempfile::tempdir().expect("a folder");
        let state = AppState::open(&folder.path().join("data"), Config::default())
            .await
            .expect("a new folder");
        let out = folder.path().join("copy");
        crate::backup::backup(&state, &out).await.expect("a copy");
        for path in below(&out) {
            assert_eq!(mode(&path) & OTHERS, 0, "{}", path.display());
        }
    }

    #[tokio::test]
    async fn a_pipe_or_a_link_in_a_folder_to_import_is_refused_by_name() {
        use clap::Parser as _;

        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let text = |path: &Path| path.to_str().expect("text").to_owned();
        let run = async |words: &[&str]| {
            let all = ["qorgan-server", "--data"].map(str::to_owned).into_iter();
            let all = all
                .chain([text(&data)])
                .chain(words.iter().map(|word| (*word).to_owned()));
            let cli = crate::cli::Cli::try_parse_from(all).expect("understood");
            cli.run().await
        };
        run(&["init"]).await.expect("a new folder");
        let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
        for package in [&pipe, &link] {
            fs::create_dir(package).expect("a folder");
        }
        let made = std::process::Command::new("mkfifo")
            .arg(pipe.join("a.jpg"))
            .status();
        assert!(made.expect("mkfifo is there").success());
        std::os::unix::fs::symlink("/dev/zero", link.join("a.jpg")).expect("a link");
        for package in [&pipe, &link] {
            let refused = run(&["import", "photos", &text(package)]).await;
            let told = refused.expect_err("refused").to_string();
            assert!(told.contains("a.jpg"), "{told}");
        }
    }
}
