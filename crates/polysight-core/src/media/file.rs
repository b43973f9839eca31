//! Files: opened without waiting, then looked at.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{name, unusable};
use crate::{Error, ErrorKind, Result};

/// A file that was looked at once and is read when it is sent.
#[derive(Clone, Debug)]
pub struct MediaFile {
    path: Arc<Path>,
    modified: Option<SystemTime>,
    identity: FileIdentity,
}

impl MediaFile {
    /// Looks at a file without reading it. Never waits for the writer of a named pipe.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`] when it does not exist, cannot be read, is a directory, is not a regular file, or is
    /// empty. [`ErrorKind::Overloaded`], which may be repeated and [is local](Error::is_local), when this process or
    /// system has no file handle left.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with_handle(path.into()).map(|(file, _)| file)
    }

    /// As [`open`](Self::open); what was looked at stays open.
    pub(super) fn open_with_handle(path: PathBuf) -> Result<(Self, File)> {
        let opened = open_at_once(&path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        let (file, metadata) = opened.map_err(|error| not_opened(&path, error))?;
        let refused = |problem| Err(unusable(name::of_path(&path), problem));
        if metadata.is_dir() {
            return refused("it is a directory");
        }
        if !metadata.is_file() {
            return refused("it is not a regular file");
        }
        if metadata.len() == 0 {
            return refused("it is empty");
        }
        let path: Arc<Path> = path.into();
        let identity = FileIdentity::new(&path, &metadata);
        Ok((Self { path, modified: metadata.modified().ok(), identity }, file))
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's length when it was looked at, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        self.identity.len
    }

    /// When the file had last been written to when it was looked at, where the file system says so. Programs can set this
    /// time (`cp -p`, archives): see [`identity`](Self::identity).
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// Which file it was, with which content, when it was looked at.
    #[must_use]
    pub fn identity(&self) -> &FileIdentity {
        &self.identity
    }

    /// Which file, with which content, an open handle of [`reopen`](Self::reopen) leads to: the path may lead elsewhere
    /// than when it was looked at.
    ///
    /// # Errors
    /// What the system says when it cannot look at the handle.
    pub fn identity_of(&self, file: &File) -> io::Result<FileIdentity> {
        file.metadata().map(|metadata| FileIdentity::new(&self.path, &metadata))
    }

    /// Opens the file for reading, and checks that it is still the one that was looked at, with the same
    /// [identity](FileIdentity): a file that was put in its place is noticed, also one of the same length and modification time.
    /// So is a change of attributes alone, such as permissions, which looks the same.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`] when it is gone or changed, and [`ErrorKind::Overloaded`] as for [`open`](Self::open).
    pub fn reopen(&self) -> Result<File> {
        let gone = |error: io::Error| match passing(&error) {
            Some(trouble) => later(&self.path, trouble).with_source(error),
            None => unusable(name::of_path(&self.path), format!("can no longer be read: {error}"))
                .with_source(error),
        };
        let file = open_at_once(&self.path).map_err(gone)?;
        let metadata = file.metadata().map_err(gone)?;
        let is_same = metadata.is_file()
            && metadata.modified().ok() == self.modified
            && FileIdentity::new(&self.path, &metadata) == self.identity;
        if !is_same {
            let changed = "the file changed since it was opened: open it again";
            return Err(unusable(name::of_path(&self.path), changed));
        }
        Ok(file)
    }
}

/// Which file it is and which content it has, as far as the file system can say without reading it: to compare, and for the
/// keys of caches.
///
/// On Unix: device, inode, length, and the time of the last change of content or attributes, which no program can set. Two
/// files with equal path, length and modification time differ in it. Elsewhere: path, length and modification time.
///
/// Equal identities mean equal content, unless it was changed twice within one tick of the file system's clock
/// (milliseconds to two seconds): a cache should read a file anew whose [`last_change`](Self::last_change) is that fresh.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    file: platform::Name,
    len: u64,
    changed: Option<SystemTime>,
}

impl FileIdentity {
    fn new(path: &Arc<Path>, metadata: &Metadata) -> Self {
        let len = metadata.len();
        Self { file: platform::name(path, metadata), len, changed: platform::last_change(metadata) }
    }

    /// Whether equal identities mean equal content, once the last change is `age` or longer ago: only where the system keeps a
    /// time of change that no program can set.
    #[must_use]
    pub fn is_certain_after(&self, age: Duration) -> bool {
        let passed = self.changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
        cfg!(unix) && passed.is_some_and(|passed| passed >= age)
    }

    /// When the file last changed, where the file system says so.
    #[must_use]
    pub fn last_change(&self) -> Option<SystemTime> {
        self.changed
    }
}

/// Opens without waiting: a named pipe would wait for its writer, a terminal or modem for its line.
fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    platform::never_wait(options.read(true));
    options.open(path)
}

fn not_opened(path: &Path, error: io::Error) -> Error {
    let name = name::of_path(path);
    if let Some(trouble) = passing(&error) {
        return later(path, trouble).with_source(error);
    }
    let link = name::is_link_without_scheme(&path.to_string_lossy());
    let problem = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if link => {
            "there is no such file; if it is a link, write https:// in front".to_owned()
        }
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        // Systems other than Unix do not open directories, and none opens sockets.
        _ if path.is_dir() => "it is a directory".to_owned(),
        _ if path.metadata().is_ok_and(|metadata| !metadata.is_file()) => {
            "it is not a regular file".to_owned()
        }
        io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => format!("cannot be opened: {error}"),
    };
    unusable(name, problem).with_source(error)
}

/// The words for a trouble of this side that passes by itself.
fn passing(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        _ if platform::is_out_of_handles(error) => {
            Some("no file handle is left: send fewer files at once, or raise the limit of open files")
        }
        io::ErrorKind::OutOfMemory => Some("the system is out of memory"),
        // Another program holds a lease on the file and is asked to give it back.
        io::ErrorKind::WouldBlock => Some("another program is about to release it"),
        _ => None,
    }
}

fn later(path: &Path, trouble: &str) -> Error {
    Error::new(ErrorKind::Overloaded, format!("{}: {trouble}", name::of_path(path))).with_local()
}

#[cfg(unix)]
mod platform {
    use std::fs::{Metadata, OpenOptions};
    use std::io;
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    /// Device and inode.
    pub(super) type Name = (u64, u64);

    pub(super) fn name(_: &Arc<Path>, metadata: &Metadata) -> Name {
        (metadata.dev(), metadata.ino())
    }

    pub(super) fn last_change(metadata: &Metadata) -> Option<SystemTime> {
        let (seconds, nanos) = (metadata.ctime(), u64::try_from(metadata.ctime_nsec()).ok()?);
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let second = match seconds {
            0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
            _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
        };
        second?.checked_add(Duration::from_nanos(nanos))
    }

    pub(super) fn never_wait(options: &mut OpenOptions) {
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }

    pub(super) fn is_out_of_handles(error: &io::Error) -> bool {
        matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
    }
}

#[cfg(not(unix))]
mod platform {
    use std::fs::{Metadata, OpenOptions};
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::SystemTime;

    pub(super) type Name = Arc<Path>;

    pub(super) fn name(path: &Arc<Path>, _: &Metadata) -> Name {
        Arc::clone(path)
    }

    pub(super) fn last_change(metadata: &Metadata) -> Option<SystemTime> {
        metadata.modified().ok()
    }

    pub(super) fn never_wait(_: &mut OpenOptions) {}

    pub(super) fn is_out_of_handles(error: &io::Error) -> bool {
        /// `ERROR_TOO_MANY_OPEN_FILES` of Windows.
        const TOO_MANY: i32 = 4;
        cfg!(windows) && error.raw_os_error() == Some(TOO_MANY)
    }
}
