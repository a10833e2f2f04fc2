//! The ground under a store: file systems that a test may fill, break and freeze.
//!
//! They are real, small, and the test's own; making them takes root, and without it the test says that it was not run.
//! Whatever was mounted is taken away when the ground is dropped, also when the test has failed.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pair::Outcome;

/// A mounted file system.
pub(crate) struct Ground {
    folder: PathBuf,
    /// The image in which it is, and how it is mounted.
    image: Option<(PathBuf, &'static str)>,
}

impl Ground {
    /// A file system in memory; none without root.
    pub(crate) fn memory(folder: &Path, mib: u64) -> Outcome<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            println!("not run: mounting a file system takes root");
            return Ok(None);
        }
        let folder = folder.join("ground");
        fs::create_dir(&folder)?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs", &text(&folder)])?;
        Ok(Some(Self { folder, image: None }))
    }

    /// A file system in an image, which takes room below as it is written to.
    pub(crate) fn image(below: &Path, mib: u64, options: &'static str) -> Outcome<Option<Self>> {
        let (image, folder) = (below.join("image"), below.join("ground"));
        File::create(&image)?.set_len(mib * 1024 * 1024)?;
        run("mkfs.ext4", &["-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", &text(&image)])?;
        fs::create_dir(&folder)?;
        let ground = Self { folder, image: Some((image, options)) };
        if let Err(why) = ground.mount() {
            println!("not run: an image cannot be mounted here: {why}");
            return Ok(None);
        }
        Ok(Some(ground))
    }

    fn mount(&self) -> Outcome {
        let Some((image, options)) = &self.image else { return Ok(()) };
        run("mount", &["-t", "ext4", "-o", &format!("loop,{options}"), &text(image), &text(&self.folder)])
    }

    /// Takes it away and mounts it again, as an administrator would who has mended what was wrong.
    pub(crate) fn mount_again(&mut self) -> Outcome {
        run("umount", &[&text(&self.folder)])?;
        if let Some((image, _)) = &self.image {
            // It answers with 1 when it has mended something.
            Command::new("e2fsck").args(["-fy", &text(image)]).output()?;
        }
        self.mount()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Writes a file until there is no room.
    pub(crate) fn fill(&self) -> Outcome<PathBuf> {
        let filler = self.folder.join("filler");
        let mut file = File::create(&filler)?;
        for size in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        Ok(filler)
    }

    /// Lets the file system find an error, after which it is read-only. Gives whether this kernel can.
    pub(crate) fn turn_read_only(&self) -> Outcome<bool> {
        let mounts = fs::read_to_string("/proc/mounts")?;
        let device = mounts.lines().find(|line| line.split(' ').nth(1) == Some(&text(&self.folder))).and_then(|line| line.split(' ').next());
        let name = device.and_then(|device| device.rsplit('/').next()).ok_or("the file system is not mounted")?;
        Ok(fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "a test").is_ok())
    }

    /// Nothing is written until what is given is dropped.
    pub(crate) fn freeze(&self) -> Outcome<Frozen> {
        run("fsfreeze", &["--freeze", &text(&self.folder)])?;
        Ok(Frozen(self.folder.clone()))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Lazily: the node of a test that failed may still have files there.
        _ = run("umount", &["-l", &text(&self.folder)]);
    }
}

/// A file system to which nothing is written.
pub(crate) struct Frozen(PathBuf);

impl Drop for Frozen {
    fn drop(&mut self) {
        _ = run("fsfreeze", &["--unfreeze", &text(&self.0)]);
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn run(program: &str, words: &[&str]) -> Outcome {
    let done = Command::new(program).args(words).output()?;
    if done.status.success() { Ok(()) } else { Err(format!("{program} {words:?}: {}", String::from_utf8_lossy(&done.stderr)).into()) }
}
