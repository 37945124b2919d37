use std::{
    env,
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;
use tokio::process::Command;

use crate::{Error, Result, dirs::Dirs, error::At as _, namespace};

/// Where no such user is known, the number that stands for nobody.
const NOBODY: (u32, u32) = (65534, 65534);

/// As whom the server runs: PostgreSQL refuses to run as root.
#[derive(Debug)]
pub(crate) enum Identity {
    /// As the caller, who is not root.
    Caller,
    /// Root becomes this user.
    User { uid: u32, gid: u32 },
    /// Root calls itself this user, which could not enter `unreachable`.
    Namespace { uid: u32, gid: u32, unreachable: PathBuf },
}

impl Identity {
    pub(crate) fn choose(dirs: &Dirs, bin_dir: &Path) -> Self {
        if !geteuid().is_root() {
            return Self::Caller;
        }
        let (uid, gid) = unprivileged_user();
        match fs::metadata(dirs.data()) {
            // The data can only be read as who wrote it.
            Ok(data) if data.uid() != 0 => Self::User { uid: data.uid(), gid: data.gid() },
            Ok(_) => Self::Namespace { uid, gid, unreachable: dirs.data() },
            Err(_) => match unreachable(&dirs.root, uid, gid).or(unreachable(bin_dir, uid, gid)) {
                Some(unreachable) => Self::Namespace { uid, gid, unreachable },
                None => Self::User { uid, gid },
            },
        }
    }

    /// A program of PostgreSQL, run by this identity.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").current_dir("/");
        match self {
            Self::Caller => {}
            // The standard library drops root's supplementary groups as well.
            Self::User { uid, gid } => {
                command.uid(*uid).gid(*gid);
            }
            Self::Namespace { uid, gid, .. } => {
                let names = namespace::names(*uid, *gid);
                // SAFETY: runs between fork and exec, where only system calls are safe; `enter`
                // makes no others.
                #[expect(unsafe_code, reason = "a namespace is entered between fork and exec")]
                unsafe {
                    command.pre_exec(move || namespace::enter(&names));
                }
            }
        }
        command
    }

    /// What it means that a program could not be run.
    pub(crate) fn cannot_run(&self, program: &Path, source: std::io::Error) -> Error {
        match self {
            Self::Namespace { uid, unreachable, .. } => {
                Error::Root { uid: *uid, unreachable: unreachable.clone(), source }
            }
            _ => Error::Program { program: program.into(), source },
        }
    }

    /// A directory nobody else may enter, in a place where others may have been before.
    pub(crate) fn private_dir(&self, path: &Path) -> Result<()> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error).at(path),
            _ => {}
        }
        let found = fs::symlink_metadata(path).at(path)?;
        let ours = [Some(geteuid().as_raw()), self.user().map(|(uid, _)| uid)];
        if !found.is_dir() || !ours.contains(&Some(found.uid())) {
            return Err(Error::Foreign(path.into()));
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).at(path)?;
        match self.user() {
            Some((uid, gid)) => chown(path, Some(uid), Some(gid)).at(path),
            None => Ok(()),
        }
    }

    /// Who owns the server's files, if that is not the caller.
    fn user(&self) -> Option<(u32, u32)> {
        match self {
            Self::User { uid, gid } => Some((*uid, *gid)),
            _ => None,
        }
    }
}

fn unprivileged_user() -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    ["postgres", "nobody"].iter().find_map(|name| account(&passwd, name)).unwrap_or(NOBODY)
}

fn account(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The first directory on the way to `path` that the user may not enter.
fn unreachable(path: &Path, uid: u32, gid: u32) -> Option<PathBuf> {
    let may_enter = |dir: &&Path| {
        fs::metadata(dir).is_ok_and(|dir| {
            let bit = if dir.uid() == uid {
                0o100
            } else if dir.gid() == gid {
                0o010
            } else {
                0o001
            };
            dir.mode() & bit != 0
        })
    };
    path.ancestors().find(|dir| !may_enter(dir)).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::{Identity, account, unreachable};
    use crate::Error;
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    #[test]
    fn a_link_in_the_place_of_a_private_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink(dir.path(), &link).unwrap();

        let error = Identity::Caller.private_dir(&link).unwrap_err();

        assert!(matches!(&error, Error::Foreign(path) if *path == link), "{error:?}");
    }

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0::/:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\n";

        assert_eq!(account(passwd, "postgres"), Some((101, 104)));
        assert_eq!(account(passwd, "nobody"), None);
    }

    #[test]
    fn a_closed_directory_on_the_way_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("inside");
        fs::create_dir(&inside).unwrap();
        let set_mode = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode));
        let stranger = u32::MAX;

        set_mode(0o700).unwrap();
        assert_eq!(unreachable(&inside, stranger, stranger).as_deref(), Some(dir.path()));

        set_mode(0o711).unwrap();
        assert_eq!(unreachable(dir.path(), stranger, stranger), None);
    }
}
