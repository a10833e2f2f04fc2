//! Attachments outside the store: each piece an object of its own, in the part of a place that is one organisation's.
//!
//! Objects lie under the organisation's id and the first byte of their names, so that several nodes can share a place without
//! one removing what is another's, and so that no listing is long. They come sealed and leave sealed.
//!
//! A folder that is not mounted looks like an empty one. So there is a mark, made when the first attachment may be put there;
//! where it is missing the place is out of reach, whatever lies there. The invariant: without the mark nothing is put there,
//! and nothing is said to be lost.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use format::OrgId;
use futures_util::TryStreamExt as _;
use node::ports::{Objects, PlaceAway};
use node::rows::ObjectName;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use tokio::runtime::{Builder, Runtime};

use crate::{Place, PlaceError};

/// The name of the mark.
const MARK: &str = "samverkan";

/// The objects of one organisation in a place.
pub struct Attachments {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    /// A bucket whose mark was seen: unlike a folder it does not come and go.
    seen: AtomicBool,
    is_folder: bool,
    /// Carries what is asked on other threads; gone only while this is dropped.
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for Attachments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attachments({} in {})", self.folder, self.store)
    }
}

impl Drop for Attachments {
    fn drop(&mut self) {
        // WHY: it may be dropped where nothing may wait, and what is under way is asked again or removed later.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Attachments {
    /// Opens the part of `place` that is `org`'s.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn open(place: &Place, org: &OrgId) -> Result<Self, PlaceError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("attachments").enable_all().build();
        Ok(Self {
            store: place.open()?,
            folder: Path::from(org.as_str()),
            seen: AtomicBool::new(false),
            is_folder: matches!(place, Place::Folder(_)),
            runtime: Some(runtime.map_err(PlaceError::Thread)?),
        })
    }

    /// Makes the mark, where nothing was ever put.
    ///
    /// # Errors
    /// See [`PlaceAway`].
    pub fn begin(&self) -> Result<(), PlaceAway> {
        let text = format!("Attachments of {}, each piece an object, encrypted. Without this file the node takes the place for another.\n", self.folder);
        self.wait(async {
            self.store.put_opts(&self.mark(), PutPayload::from(text), PutMode::Overwrite.into()).await?;
            Ok(())
        })
    }

    fn mark(&self) -> Path {
        self.folder.clone().join(MARK)
    }

    /// Fails where the mark is missing, as something that is not there.
    async fn check_mark(&self) -> object_store::Result<()> {
        if self.is_folder || !self.seen.load(Relaxed) {
            self.store.head(&self.mark()).await?;
            self.seen.store(true, Relaxed);
        }
        Ok(())
    }

    fn path(&self, name: &ObjectName) -> Path {
        let text = name.to_string();
        self.shard(name.0.first().copied().unwrap_or_default()).join(text.as_str())
    }

    fn shard(&self, first: u8) -> Path {
        self.folder.clone().join(format!("{first:02x}"))
    }

    fn wait<T>(&self, work: impl Future<Output = object_store::Result<T>>) -> Result<T, PlaceAway> {
        let Some(runtime) = &self.runtime else { return Err(PlaceAway("it is being closed".to_owned())) };
        runtime.block_on(work).map_err(|fault| match fault {
            Error::NotFound { .. } => PlaceAway(format!("there is no `{}` in it: it is another place, or is not mounted", self.mark())),
            fault => PlaceAway(fault.to_string()),
        })
    }
}

/// The name and age of an object; nothing for what is no object of ours.
fn listed(object: &ObjectMeta, now: SystemTime) -> Option<(ObjectName, Duration)> {
    let text = object.location.filename()?;
    let mut name = [0; 16];
    if text.len() != 2 * name.len() || !text.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit)) {
        return None;
    }
    for (byte, digits) in name.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some((ObjectName(name), now.duration_since(object.last_modified.into()).unwrap_or_default()))
}

impl Objects for Attachments {
    fn put(&self, name: &ObjectName, bytes: Vec<u8>) -> Result<(), PlaceAway> {
        self.wait(async {
            self.check_mark().await?;
            self.store.put_opts(&self.path(name), PutPayload::from(bytes), PutMode::Overwrite.into()).await?;
            Ok(())
        })
    }

    fn get(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, PlaceAway> {
        self.wait(async {
            match self.store.get(&self.path(name)).await {
                Ok(found) => Ok(Some(found.bytes().await?.into())),
                Err(Error::NotFound { .. }) => self.check_mark().await.map(|()| None),
                Err(fault) => Err(fault),
            }
        })
    }

    fn list(&self, first: u8) -> Result<Vec<(ObjectName, Duration)>, PlaceAway> {
        #[expect(clippy::disallowed_methods, reason = "the age of an object is by the clock of the machine, whatever the node takes for the time")]
        let now = SystemTime::now();
        self.wait(async {
            if first == 0 {
                self.check_mark().await?;
            }
            self.store.list(Some(&self.shard(first))).try_filter_map(|object| async move { Ok(listed(&object, now)) }).try_collect().await
        })
    }

    fn remove(&self, name: &ObjectName) -> Result<(), PlaceAway> {
        self.wait(async {
            match self.store.delete(&self.path(name)).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(fault) => Err(fault),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(first: u8) -> ObjectName {
        ObjectName([first; 16])
    }

    fn begun(place: &Place, org: &str) -> Attachments {
        let objects = Attachments::open(place, &org.parse().unwrap()).unwrap();
        objects.begin().unwrap();
        objects
    }

    #[test]
    fn what_is_put_is_there_is_listed_and_is_removed_and_another_organisations_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().to_owned());
        let (ours, theirs) = (begun(&place, "se-sapo"), begun(&place, "dk-pet"));
        ours.put(&name(7), vec![1; 1 << 20]).unwrap();
        theirs.put(&name(7), b"theirs".to_vec()).unwrap();
        assert_eq!(ours.get(&name(7)).unwrap().unwrap(), vec![1; 1 << 20]);
        assert_eq!(ours.get(&name(8)).unwrap(), None);
        let (found, age) = ours.list(7).unwrap().into_iter().next().unwrap();
        assert_eq!(found, name(7));
        assert!(age < Duration::from_secs(60));
        assert_eq!(ours.list(8).unwrap(), Vec::new());
        ours.remove(&name(7)).unwrap();
        ours.remove(&name(7)).unwrap();
        assert_eq!(ours.get(&name(7)).unwrap(), None);
        assert_eq!(theirs.get(&name(7)).unwrap().unwrap(), b"theirs");
    }

    #[test]
    fn a_folder_that_is_not_mounted_is_out_of_reach_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (place, aside) = (folder.path().join("attachments"), folder.path().join("aside"));
        std::fs::create_dir(&place).unwrap();
        let objects = begun(&Place::Folder(place.clone()), "se-sapo");
        objects.put(&name(1), vec![1]).unwrap();
        std::fs::rename(&place, &aside).unwrap();
        std::fs::create_dir(&place).unwrap();
        let told = [objects.get(&name(1)).map(|_| ()), objects.get(&name(2)).map(|_| ()), objects.put(&name(2), vec![2]), objects.list(0).map(|_| ())];
        for told in told {
            assert!(told.unwrap_err().to_string().contains("not mounted"));
        }
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "nothing was put into the mount point");
        std::fs::remove_dir(&place).unwrap();
        std::fs::rename(&aside, &place).unwrap();
        assert_eq!(objects.get(&name(1)).unwrap(), Some(vec![1]));
        assert_eq!(objects.get(&name(2)).unwrap(), None, "this one is lost");
    }

    #[test]
    fn what_others_left_there_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let objects = begun(&Place::Folder(folder.path().to_owned()), "se-sapo");
        objects.put(&name(7), vec![1]).unwrap();
        for other in ["README", "07070707070707070707070707070707X", "+7070707070707070707070707070707"] {
            std::fs::write(folder.path().join("se-sapo/07").join(other), b"x").unwrap();
        }
        assert_eq!(objects.list(7).unwrap().len(), 1);
    }
}
