//! Programs from Debian's unstable suite, unpacked into the cache and run with their own loader and
//! libraries.
//!
//! Nothing is installed and the machine's own package lists stay as they are: `apt-get` works in a
//! private root of its own, with the mirror that the machine itself uses. The suite is *unstable*
//! because Debian's stable suites carry no MySQL. An unpacked program must not meet the machine's
//! older C library, so it is started as `ld.so --library-path … program`: unlike `LD_LIBRARY_PATH`,
//! this is not inherited by what the program starts.

use std::env::consts::ARCH;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache;
use super::failure::Failure;
use super::tool;

const SUITE: &str = "unstable";

/// The list of installed packages that the private `apt-get` sees. Some Debian programs name perl for
/// helper scripts, which the lab never runs; as long as apt believes it to be there, 50 MB need not
/// be fetched.
const STAND_IN: &str = "\
Package: perl
Status: install ok installed
Architecture: all
Multi-Arch: allowed
Version: 99
Maintainer: lab <lab@localhost>
Description: stand-in

";

/// Given with `-c`, which is read after the machine's own configuration: its proxy stays in force,
/// its hooks are taken out.
const NO_HOOKS: &str = "\
#clear APT::Update;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear Acquire::IndexTargets::deb::DEP-11;
APT::Sandbox::User \"\";
Acquire::Languages \"none\";
Acquire::Retries \"3\";
";

/// Packages unpacked together with all that they depend on.
pub struct Root(PathBuf);

impl Root {
    /// The cache's entry `name`, unpacked from `packages` when it is not there.
    pub fn unpacked(name: &str, packages: &[&str]) -> Result<Self, Failure> {
        cache::entry(name, |fresh| unpack(fresh, packages)).map(Self)
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.0.join(inside)
    }

    pub fn libraries(&self) -> PathBuf {
        self.0.join(format!("usr/lib/{ARCH}-linux-gnu"))
    }

    /// The command line that runs `program` with this root's loader and libraries; `first` is a
    /// directory whose libraries come before.
    pub fn command(&self, program: &Path, first: Option<&Path>) -> Result<Vec<OsString>, Failure> {
        let libraries = self.libraries();
        let loader = fs::read_dir(&libraries)
            .map_err(Failure::at(&libraries))?
            .filter_map(Result::ok)
            .find(|file| file.file_name().to_string_lossy().starts_with("ld-linux-"))
            .ok_or_else(|| Failure::new(format!("no loader in {}", libraries.display())))?;
        let mut search = OsString::new();
        if let Some(first) = first {
            search.push(first);
            search.push(":");
        }
        search.push(&libraries);
        Ok(vec![loader.path().into(), "--library-path".into(), search, program.into()])
    }
}

fn unpack(fresh: &Path, packages: &[&str]) -> Result<(), Failure> {
    let apt = fresh.join("apt");
    let configuration = private_apt(&apt)?;
    let apt_get = |arguments: &[&str], purpose: &str| {
        tool::run(Command::new("apt-get").arg("-c").arg(&configuration).args(arguments), purpose)
    };
    apt_get(&["update", "--error-on=any"], &format!("read the package lists of Debian {SUITE}"))?;
    let wanted = packages.join(" ");
    let mut install = vec!["install", "--yes", "--download-only", "--no-install-recommends"];
    install.extend(packages);
    apt_get(&install, &format!("fetch {wanted} from Debian {SUITE}"))?;
    let archives = apt.join("archives");
    for file in fs::read_dir(&archives).map_err(Failure::at(&archives))? {
        let file = file.map_err(Failure::at(&archives))?.path();
        if file.extension().is_some_and(|end| end == "deb") {
            tool::run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(fresh), "unpack Debian packages")?;
        }
    }
    former_names(&Root(fresh.to_owned()).libraries())?;
    fs::remove_dir_all(&apt).map_err(Failure::at(&apt))
}

/// When Debian made `time_t` 64 bits wide, it renamed some libraries: libaio.so.1 became
/// libaio.so.1t64. On 64-bit machines nothing else changed, and programs built elsewhere still ask
/// for the former names.
fn former_names(libraries: &Path) -> Result<(), Failure> {
    for file in fs::read_dir(libraries).map_err(Failure::at(libraries))? {
        let name = file.map_err(Failure::at(libraries))?.file_name();
        if let Some(former) = name.to_string_lossy().strip_suffix("t64") {
            let former = libraries.join(former);
            symlink(&name, &former).map_err(Failure::at(&former))?;
        }
    }
    Ok(())
}

/// A private root for `apt-get`; returns the path of its configuration file.
fn private_apt(apt: &Path) -> Result<PathBuf, Failure> {
    for directory in ["lists/partial", "archives/partial"] {
        let directory = apt.join(directory);
        fs::create_dir_all(&directory).map_err(Failure::at(&directory))?;
    }
    let write = |name: &str, text: String| {
        let path = apt.join(name);
        fs::write(&path, text).map_err(Failure::at(&path)).map(|()| path)
    };
    let status = write("status", STAND_IN.to_owned())?;
    let sources = write("sources.list", format!("deb {} {SUITE} main\n", mirror()?))?;
    let settings = [
        ("Dir::State", apt),
        ("Dir::State::lists", &apt.join("lists")),
        ("Dir::State::status", &status),
        ("Dir::Cache", apt),
        ("Dir::Cache::archives", &apt.join("archives")),
        ("Dir::Etc::sourcelist", &sources),
        ("Dir::Etc::sourceparts", Path::new("/dev/null")),
        ("Dir::Etc::preferencesparts", Path::new("/dev/null")),
        ("Dir::Log", apt),
    ];
    let settings = settings.map(|(name, path)| format!("{name} \"{}\";\n", path.display()));
    write("apt.conf", format!("{NO_HOOKS}{}", settings.concat()))
}

/// The archive from which this machine installs its own packages.
fn mirror() -> Result<String, Failure> {
    let format = "$(RELEASE) $(COMPONENT) $(CREATED_BY) $(REPO_URI)";
    let listed =
        tool::run(Command::new("apt-get").args(["indextargets", "--format", format]), "find this machine's Debian mirror")?;
    listed
        .lines()
        .find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            // The security archive (RELEASE-security) has no unstable suite.
            [release, "main", "Packages", uri] if !release.contains("security") => Some(uri.into()),
            _ => None,
        })
        .ok_or_else(|| Failure::new("`apt-get indextargets` lists no Debian archive to fetch from"))
}
