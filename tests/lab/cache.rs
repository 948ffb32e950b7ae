//! The lab's cache directory: what was fetched or initialised once stays there, and every later run
//! works without a network.
//!
//! An entry is a directory that is either absent or complete. It is filled under `NAME.new` and
//! renamed when it is whole, and whoever fills it holds `NAME.lock`, so that several test processes
//! that start at once fetch once and a fetch that was killed leaves nothing that looks finished.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// The directory, made if need be: `POLARFERRY_LAB_CACHE`, or `polarferry-lab` in the user's cache
/// directory.
pub fn directory() -> Result<PathBuf, Failure> {
    let directory = env::var_os("POLARFERRY_LAB_CACHE")
        .map(PathBuf::from)
        .or_else(|| env::var_os("XDG_CACHE_HOME").map(|cache| Path::new(&cache).join("polarferry-lab")))
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache/polarferry-lab")))
        .ok_or_else(|| Failure::new("the lab needs a cache directory: set POLARFERRY_LAB_CACHE or HOME"))?;
    fs::create_dir_all(&directory).map_err(Failure::at(&directory))?;
    directory.canonicalize().map_err(Failure::at(&directory))
}

/// The path of the entry `name`; `fill` is called with an empty directory when there is none yet.
pub fn entry(name: &str, fill: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<PathBuf, Failure> {
    let home = directory()?;
    let entry = home.join(name);
    if entry.exists() {
        return Ok(entry);
    }
    let lock = home.join(format!("{name}.lock"));
    let held = File::create(&lock).map_err(Failure::at(&lock))?;
    held.lock().map_err(Failure::at(&lock))?;
    // Another process may have filled it while this one waited for the lock.
    if entry.exists() {
        return Ok(entry);
    }
    let fresh = home.join(format!("{name}.new"));
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(Failure::at(&fresh))?;
    }
    fs::create_dir(&fresh).map_err(Failure::at(&fresh))?;
    eprintln!("lab: filling {} (once)", entry.display());
    fill(&fresh)?;
    fs::rename(&fresh, &entry).map_err(Failure::at(&entry))?;
    Ok(entry)
}

/// Copies the directory `from`, with all that is in it, to `to`, which must not exist. Only files
/// and directories: a data directory has nothing else.
pub fn copy_tree(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir(to).map_err(Failure::at(to))?;
    for found in fs::read_dir(from).map_err(Failure::at(from))? {
        let found = found.map_err(Failure::at(from))?;
        let (source, copy) = (found.path(), to.join(found.file_name()));
        if source.is_dir() {
            copy_tree(&source, &copy)?;
        } else {
            fs::copy(&source, &copy).map_err(Failure::at(&source))?;
        }
    }
    Ok(())
}
