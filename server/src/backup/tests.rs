use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use qorgan_protocol::time::WallTime;

use super::*;
use qorgan_base::config::Config;
use qorgan_store::audit;

async fn open(data: &Path, config: Config) -> AppState {
    AppState::open(data, config)
        .await
        .expect("the folder opens")
}

fn everything(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

#[tokio::test]
async fn no_copy_holds_a_key_encryption_key_whatever_its_name_and_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let config = Config {
        key_file: data.join("tls.pem"),
        ..Config::default()
    };
    fs::create_dir_all(&data).expect("a folder");
    let state = open(&data, config).await;
    let key = state.keys.kek().expose();
    let hex = hex::encode(key);
    let attempt = AttemptId::new(WallTime::from_unix_ms(1), [1; 10]);
    let inside = data.join("recordings/open").join(attempt.to_string());
    fs::create_dir_all(&inside).expect("a folder");
    for (name, bytes) in [
        ("escrow", hex.clone().into_bytes()),
        (
            "notes.txt",
            format!("the key: {}", hex.to_uppercase()).into_bytes(),
        ),
        ("config.toml", format!("# {hex}\n").into_bytes()),
        ("old", b"ab".repeat(32)),
        ("raw", key.to_vec()),
    ] {
        fs::write(data.join(name), &bytes).expect("written");
        fs::write(inside.join(name), bytes).expect("written");
    }
    let out = folder.path().join("copy");
    let copied = backup(&state, &out).await.expect("a copy");
    for path in everything(&out).into_iter().filter(|path| path.is_file()) {
        let bytes = fs::read(&path).expect("readable").to_ascii_lowercase();
        let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(!has(hex.as_bytes()) && !has(key), "{}", path.display());
        assert!(!has(&b"ab".repeat(32)), "{}", path.display());
    }
    for name in ["tls.pem", "config.toml", "escrow", "raw", "old"] {
        assert!(copied.left_out.contains(name), "{name}: {copied:?}");
    }
    assert!(out.join("sign.pk8").is_file() && out.join("qorgan.db").is_file());
}

#[tokio::test]
async fn a_copy_inside_the_data_folder_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let state = open(&data, Config::default()).await;
    let around = folder.path().join("around");
    fs::create_dir(&around).expect("a folder");
    for inside in [
        data.join("copy"),
        data.join("recordings/open/copy"),
        data.join("a/b/c"),
        around.join("../data/copy"),
    ] {
        let refused = backup(&state, &inside).await.expect_err("inside");
        assert!(matches!(refused, BackupError::Inside { .. }), "{refused}");
        assert!(!inside.exists());
    }
    let refused = backup(&state, &around).await.expect_err("there already");
    assert!(matches!(refused, BackupError::Exists { .. }), "{refused}");
}

/// An exam under way: the log grows, files grow, come and go.
async fn under_way(state: AppState, data: PathBuf, stop: Arc<AtomicBool>) -> i64 {
    let mut written = 0;
    while !stop.load(Ordering::Acquire) {
        let mut tx = state.store.begin().await.expect("a writer");
        let entry = audit::Entry {
            institution: state.institution(),
            at: state.clock.wall(),
            actor: "server",
            action: "tested",
            subject: "nothing",
            detail: &"x".repeat(2_000),
        };
        audit::write(&mut tx, &entry).await.expect("stored");
        tx.commit().await.expect("stored");
        written += 1;
        let number = u8::try_from(written % 7).expect("small");
        let attempt = AttemptId::new(WallTime::from_unix_ms(1), [number; 10]);
        let folder = data.join("recordings/open").join(attempt.to_string());
        if written % 3 == 0 {
            let _gone_already = fs::remove_dir_all(&folder);
        } else {
            fs::create_dir_all(folder.join("e1")).expect("a folder");
            let file = folder.join("e1/camera-0");
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            let mut file = options.open(file).expect("opened");
            io::Write::write_all(&mut file, &[7; 10_000]).expect("written");
        }
        tokio::task::yield_now().await;
    }
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_made_under_way_opens_whole_with_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let state = open(&data, Config::default()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let busy = tokio::spawn(under_way(state.clone(), data.clone(), Arc::clone(&stop)));
    for round in 0..5 {
        let out = folder.path().join(format!("copy-{round}"));
        backup(&state, &out).await.expect("a copy");
        fs::copy(
            folder.path().join("data.kek"),
            folder.path().join(format!("copy-{round}.kek")),
        )
        .expect("the key from the safe");
        let restored = open(&out, Config::default()).await;
        assert_eq!(restored.keys.public_key(), state.keys.public_key());
        assert_eq!(restored.institution(), state.institution());
        let chain = audit::verify(&restored.store, None)
            .await
            .expect("readable");
        assert!(matches!(chain, audit::Chain::Whole { .. }), "{chain:?}");
        restored.store.close().await;
    }
    stop.store(true, Ordering::Release);
    assert!(busy.await.expect("no panic") > 0);
}
