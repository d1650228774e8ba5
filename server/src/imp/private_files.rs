//! Tests: what the server keeps is its owner's alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::state::AppState;
use qorgan_base::config::Config;
use qorgan_base::keys::{hold, write_private};

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
        state.store.read().is_postgres() || data.join("qorgan.db-wal").is_file(),
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
    let mut files = vec![data.join("qorgan.db"), data.join("sign.pk8"), kek];
    files.retain(|file| file.is_file());
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

#[tokio::test]
async fn a_lost_database_makes_no_new_institution_of_the_old_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let state = AppState::open(&data, Config::default())
        .await
        .expect("a new folder");
    let on_postgres = state.store.read().is_postgres();
    state.store.close().await;
    if on_postgres {
        return;
    }
    fs::remove_file(data.join("qorgan.db")).expect("it was there");

    for _again in 0..2 {
        let refused = AppState::open(&data, Config::default()).await;
        let told = refused.expect_err("the database is empty").to_string();
        assert!(told.contains("Restore"), "{told}");
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

/// The rights of group and others.
const OTHERS: u32 = 0o077;
