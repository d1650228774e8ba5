//! A camera for machines without one, below the agent's own capture code.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::media::Media;
use crate::places;
use crate::program::{run, shared_library};
use crate::tree::top;

/// Makes a starter that loads the stand-in before the packaged agent, and before it alone.
///
/// # Errors
/// Fails where the compiler, ffmpeg or the device node does.
pub(super) fn starter(folder: &Path, media: &Media) -> Result<PathBuf> {
    let library = folder.join("camera-stand-in.so");
    let source = top().join("agent/capture/tests/shim/fakecam.c");
    shared_library(&source, &library)?;
    let film = folder.join("camera.yuyv");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-loglevel", "error", "-y", "-i"])
        .arg(&media.camera);
    ffmpeg.args([
        "-t",
        "6",
        "-r",
        "15",
        "-vf",
        "scale=640:480,noise=alls=4:allf=t",
    ]);
    run(ffmpeg
        .args(["-pix_fmt", "yuyv422", "-f", "rawvideo"])
        .arg(&film))?;
    if !Path::new(NODE).exists() {
        run(Command::new("mknod").args([NODE, "c", "81", "7"]))
            .context("the stand-in needs its device node, which root may make")?;
    }
    let starter = folder.join("agent-with-camera");
    let script = format!(
        "#!/bin/sh\nexport LD_PRELOAD='{}'\"${{LD_PRELOAD:+:$LD_PRELOAD}}\" CAM_NODE={NODE} CAM_SIZE=640x480 CAM_FPS=15 \
         CAM_FILE='{}'\nexec '{}' \"$@\"\n",
        library.display(),
        film.display(),
        places::program("qorgan-agent")?.display()
    );
    fs::write(&starter, script)?;
    fs::set_permissions(&starter, fs::Permissions::from_mode(0o755))?;
    Ok(starter)
}

const NODE: &str = "/dev/video7";
