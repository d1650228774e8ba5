//! Sealed recordings in the object store: each file as blocks of 64 KiB, every block sealed under
//! the attempt's key for its place, so that any byte range is read by opening few blocks.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart};
use qorgan_protocol::ids::AttemptId;
use qorgan_signing::SecretKey;

use super::RecordingError;

/// The object store of sealed recordings.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
}

/// A file that is being put.
#[derive(Debug)]
pub struct Putting<'a> {
    key: &'a SecretKey,
    place: Vec<u8>,
    block: u64,
    buffer: Vec<u8>,
    upload: WriteMultipart,
    len: u64,
}

impl Objects {
    /// Opens the store in a folder of recordings.
    pub fn open(root: &Path) -> Result<Self, RecordingError> {
        Ok(Self {
            store: Arc::new(LocalFileSystem::new_with_prefix(root.join(FOLDER))?),
        })
    }

    /// Begins a file.
    pub async fn put<'a>(
        &self,
        key: &'a SecretKey,
        attempt: AttemptId,
        name: &str,
    ) -> Result<Putting<'a>, RecordingError> {
        let upload = self.store.put_multipart(&path(attempt, name)).await?;
        Ok(Putting {
            key,
            place: place(attempt, name),
            block: 0,
            buffer: Vec::with_capacity(BLOCK_BYTES),
            upload: WriteMultipart::new(upload),
            len: 0,
        })
    }

    /// Puts a small file at once.
    pub async fn put_bytes(
        &self,
        key: &SecretKey,
        attempt: AttemptId,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), RecordingError> {
        let mut putting = self.put(key, attempt, name).await?;
        putting.write(bytes)?;
        putting.finish().await?;
        Ok(())
    }

    /// Returns a file's length; `None` where there is no such file.
    pub async fn len(&self, attempt: AttemptId, name: &str) -> Result<Option<u64>, RecordingError> {
        match self.store.head(&path(attempt, name)).await {
            Ok(meta) => {
                let blocks = meta.size.div_ceil(SEALED_BLOCK);
                Ok(Some(meta.size.saturating_sub(blocks * OVERHEAD)))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the exact bytes of a range, cut to the file's end.
    pub async fn read(
        &self,
        key: &SecretKey,
        attempt: AttemptId,
        name: &str,
        range: Range<u64>,
    ) -> Result<Vec<u8>, RecordingError> {
        let len = self
            .len(attempt, name)
            .await?
            .ok_or(RecordingError::NoStream)?;
        let (from, to) = (range.start.min(len), range.end.min(len));
        if from >= to {
            return Ok(Vec::new());
        }
        let (first, last) = (from / BLOCK, (to - 1) / BLOCK);
        let sealed = self
            .store
            .get_range(
                &path(attempt, name),
                first * SEALED_BLOCK..(last + 1) * SEALED_BLOCK,
            )
            .await?;
        let place = place(attempt, name);
        let mut plain = Vec::new();
        for (number, block) in (first..).zip(sealed.chunks(BLOCK_BYTES + SecretKey::OVERHEAD_BYTES))
        {
            plain.extend(key.open(&block_place(&place, number), block)?);
        }
        let skip = usize::try_from(from - first * BLOCK).unwrap_or(usize::MAX);
        let take = usize::try_from(to - from).unwrap_or(usize::MAX);
        plain.drain(..skip.min(plain.len()));
        plain.truncate(take);
        Ok(plain)
    }

    /// Returns the names of an attempt's files.
    pub(super) async fn names(&self, attempt: AttemptId) -> Result<Vec<String>, RecordingError> {
        let folder = ObjectPath::from(attempt.to_string());
        let listed = self.store.list_with_delimiter(Some(&folder)).await?;
        let names = listed.objects.iter();
        let names = names.filter_map(|object| object.location.filename());
        Ok(names.map(ToOwned::to_owned).collect())
    }

    /// Removes every file of an attempt.
    pub(super) async fn delete_all(&self, attempt: AttemptId) -> Result<(), RecordingError> {
        let folder = ObjectPath::from(attempt.to_string());
        let listed = self.store.list_with_delimiter(Some(&folder)).await?;
        for object in listed.objects {
            self.store.delete(&object.location).await?;
        }
        Ok(())
    }
}

impl Putting<'_> {
    /// Adds bytes.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), RecordingError> {
        self.len += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        while !bytes.is_empty() {
            let take = bytes.len().min(BLOCK_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.buffer.len() == BLOCK_BYTES {
                self.block()?;
            }
        }
        Ok(())
    }

    /// Waits where too many parts are on their way.
    pub async fn settle(&mut self) -> Result<(), RecordingError> {
        Ok(self.upload.wait_for_capacity(PARTS_MAX).await?)
    }

    /// Ends the file; returns its length.
    pub async fn finish(mut self) -> Result<u64, RecordingError> {
        if !self.buffer.is_empty() {
            self.block()?;
        }
        self.upload.finish().await?;
        Ok(self.len)
    }

    fn block(&mut self) -> Result<(), RecordingError> {
        let place = block_place(&self.place, self.block);
        self.upload.write(&self.key.seal(&place, &self.buffer)?);
        self.block += 1;
        self.buffer.clear();
        Ok(())
    }
}

fn path(attempt: AttemptId, name: &str) -> ObjectPath {
    ObjectPath::from(format!("{attempt}/{name}"))
}

fn place(attempt: AttemptId, name: &str) -> Vec<u8> {
    let mut place = attempt.as_bytes().to_vec();
    place.extend_from_slice(name.as_bytes());
    place.push(0);
    place
}

fn block_place(place: &[u8], number: u64) -> Vec<u8> {
    let mut place = place.to_vec();
    place.extend_from_slice(&number.to_be_bytes());
    place
}

/// Folder of the sealed files.
pub(super) const FOLDER: &str = "sealed";
const BLOCK_BYTES: usize = 64 * 1024;
const BLOCK: u64 = 64 * 1024;
const OVERHEAD: u64 = 28;
const SEALED_BLOCK: u64 = BLOCK + OVERHEAD;
/// The most parts on their way to the store.
const PARTS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use qorgan_protocol::time::WallTime;

    use super::*;

    #[tokio::test]
    async fn any_range_of_a_sealed_file_reads_back_exactly() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join(FOLDER)).expect("a folder");
        let objects = Objects::open(folder.path()).expect("a store");
        let key = SecretKey::generate().expect("random bytes");
        let attempt = AttemptId::new(WallTime::from_unix_ms(1), [1; 10]);
        let bytes: Vec<u8> = (0..200_001u32).map(|n| n.to_le_bytes()[0]).collect();
        for len in [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, bytes.len()] {
            objects
                .put_bytes(&key, attempt, "a.mp4", &bytes[..len])
                .await
                .expect("put");
            let wide = u64::try_from(len).expect("small");
            assert_eq!(
                objects.len(attempt, "a.mp4").await.expect("head"),
                Some(wide)
            );
            for range in [
                0..wide,
                0..1,
                65_530..65_540,
                65_536..131_072,
                wide..wide + 5,
                9..wide,
            ] {
                let read = objects
                    .read(&key, attempt, "a.mp4", range.clone())
                    .await
                    .expect("read");
                let from = usize::try_from(range.start.min(wide)).expect("small");
                let to = usize::try_from(range.end.min(wide)).expect("small");
                assert_eq!(read, bytes[from.min(to)..to], "{range:?} of {len}");
            }
        }
        objects
            .read(
                &SecretKey::generate().expect("random bytes"),
                attempt,
                "a.mp4",
                0..5,
            )
            .await
            .expect_err("another key");
        objects.delete_all(attempt).await.expect("deleted");
        assert_eq!(objects.len(attempt, "a.mp4").await.expect("head"), None);
    }
}
