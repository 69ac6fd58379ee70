//! The object store in which checkpoints lie, as plain blocking calls: who calls waits. It knows names and bytes, and not what they mean.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as Name;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use sagaline_schemas::{Digest, Millis};
use tokio::runtime::Runtime;
use tokio_stream::StreamExt;

use super::CheckpointError;

/// Files are sent in pieces of this size.
const PIECE: usize = 8 << 20;
/// A document of more bytes is none of ours.
const MAX_DOCUMENT: u64 = 16 << 20;
const WANTED: &str = "write file:///FOLDER, s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or az://CONTAINER/FOLDER";

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name within the vault.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// When it was written, by the object store's clock.
    pub modified: Millis,
}

/// The object store.
pub struct Vault {
    objects: Arc<dyn ObjectStore>,
    root: Name,
    url: String,
    /// Drives the calls; none only while it is dropped.
    runtime: Option<Runtime>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A runtime may be dropped anywhere but where it would wait.
impl Drop for Vault {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Vault {
    /// The one at `url`. A folder is made; what a cloud's store needs to let one in comes from its usual variables of the environment
    /// (`AWS_ACCESS_KEY_ID` and the like).
    ///
    /// # Errors
    /// `Address` when there can be none, `Vault` when the folder can't be made or written.
    pub fn open(url: &str) -> Result<Self, CheckpointError> {
        let wrong = |detail: &str| CheckpointError::Address { url: url.to_owned(), detail: detail.to_owned() };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong(WANTED))?;
        match scheme {
            "file" if rest.starts_with('/') => Self::folder(url, Path::new(rest)),
            "file" => Err(wrong("a folder is named from the root on: file:///FOLDER")),
            "memory" => Self::new(Arc::new(InMemory::new()), Name::default(), url),
            "s3" | "s3a" | "gs" | "az" | "azure" | "abfs" | "abfss" | "adl" => Self::cloud(url),
            _ => Err(wrong(WANTED)),
        }
    }

    /// One that is gone with its last handle: for tests.
    ///
    /// # Errors
    /// When the system gives no runtime.
    pub fn memory() -> Result<Self, CheckpointError> {
        Self::open("memory://")
    }

    fn folder(url: &str, folder: &Path) -> Result<Self, CheckpointError> {
        let refused = |detail: String| CheckpointError::Vault { place: url.to_owned(), detail };
        std::fs::create_dir_all(folder).map_err(|error| refused(format!("the folder can't be made: {error}")))?;
        let objects = LocalFileSystem::new_with_prefix(folder).map_err(|error| refused(error.to_string()))?;
        Self::new(Arc::new(objects.with_fsync(true)), Name::default(), url)
    }

    #[cfg(feature = "cloud")]
    fn cloud(url: &str) -> Result<Self, CheckpointError> {
        let wrong = |detail: String| CheckpointError::Address { url: url.to_owned(), detail };
        let parsed = url::Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?.to_lowercase(), value.into_string().ok()?)));
        let (objects, root) =
            object_store::parse_url_opts(&parsed, environment).map_err(|error| wrong(error.to_string()))?;
        Self::new(Arc::from(objects), root, url)
    }

    #[cfg(not(feature = "cloud"))]
    fn cloud(url: &str) -> Result<Self, CheckpointError> {
        let detail = "this program was built without the clouds' object stores: `cargo build --features cloud` has them, and so do the images";
        Err(CheckpointError::Address { url: url.to_owned(), detail: detail.to_owned() })
    }

    fn new(objects: Arc<dyn ObjectStore>, root: Name, url: &str) -> Result<Self, CheckpointError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("checkpoints-io")
            .enable_all()
            .build()
            .map_err(|error| CheckpointError::Disk { place: url.to_owned(), detail: error.to_string() })?;
        Ok(Self { objects, root, url: url.to_owned(), runtime: Some(runtime) })
    }

    /// What people know it by.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An object's name, for messages.
    pub fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.url.trim_end_matches('/'))
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.as_ref().expect("the runtime is there until the vault is dropped").block_on(future)
    }

    fn name(&self, name: &str) -> Name {
        Name::from_iter(self.root.parts().chain(Name::from(name).parts()))
    }

    fn failed(&self, name: &str, error: &object_store::Error) -> CheckpointError {
        CheckpointError::Vault { place: self.place(name), detail: error.to_string() }
    }

    /// Writes a document; what was there is replaced.
    ///
    /// # Errors
    /// When the object store refuses.
    pub fn put(&self, name: &str, content: Vec<u8>) -> Result<(), CheckpointError> {
        let put = self.wait(self.objects.put(&self.name(name), PutPayload::from(content)));
        put.map(drop).map_err(|error| self.failed(name, &error))
    }

    /// Writes a document where none is. False: there is one.
    ///
    /// # Errors
    /// When the object store refuses.
    pub fn create(&self, name: &str, content: Vec<u8>) -> Result<bool, CheckpointError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.wait(self.objects.put_opts(&self.name(name), PutPayload::from(content), options)) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    /// A document; none: it is not there.
    ///
    /// # Errors
    /// When the object store does not give it, or it is far too large.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, CheckpointError> {
        let read = async {
            let found = self.objects.get(&self.name(name)).await?;
            let size = found.meta.size;
            Ok(if size > MAX_DOCUMENT { Err(size) } else { Ok(found.bytes().await?.to_vec()) })
        };
        match self.wait(read) {
            Ok(Ok(content)) => Ok(Some(content)),
            Ok(Err(size)) => Err(CheckpointError::Unreadable {
                place: self.place(name),
                detail: format!("it has {size} bytes, more than any document of ours"),
            }),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    /// What is known of an object; none: it is not there.
    ///
    /// # Errors
    /// When the object store does not say.
    pub fn head(&self, name: &str) -> Result<Option<Object>, CheckpointError> {
        match self.wait(self.objects.head(&self.name(name))) {
            Ok(meta) => Ok(Some(object(name.to_owned(), &meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    /// Writes a local file, whole or not at all.
    ///
    /// # Errors
    /// When the disk or the object store refuses.
    pub fn put_file(&self, name: &str, file: &Path) -> Result<(), CheckpointError> {
        let disk = |error: std::io::Error| on_disk(file, &error);
        let mut reader = File::open(file).map_err(disk)?;
        let mut piece = next_piece(&mut reader).map_err(disk)?;
        if piece.len() < PIECE {
            return self.put(name, piece);
        }
        let failed = |error: object_store::Error| self.failed(name, &error);
        let mut upload = self.wait(self.objects.put_multipart(&self.name(name))).map_err(failed)?;
        while !piece.is_empty() {
            let sent = self.wait(upload.put_part(PutPayload::from(piece)));
            let next = sent.map_err(failed).and_then(|()| next_piece(&mut reader).map_err(disk));
            piece = match next {
                Ok(piece) => piece,
                Err(error) => {
                    // What was sent is of no use; where that can't be said, the object store's own rules clear it away.
                    let _given_up = self.wait(upload.abort());
                    return Err(error);
                }
            };
        }
        self.wait(upload.complete()).map(drop).map_err(failed)
    }

    /// Reads an object into a local file, which survives a power failure once this returns. Gives its hash; none: it is not there. Of one that has
    /// more than so many bytes no more is read: whoever can write there must not fill this disk.
    ///
    /// # Errors
    /// `Damaged` when it has more bytes; else when the disk or the object store refuses.
    pub fn get_file(&self, name: &str, file: &Path, bytes: u64) -> Result<Option<Digest>, CheckpointError> {
        let read = async {
            let mut content = match self.objects.get(&self.name(name)).await {
                Ok(found) => found.into_stream(),
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(self.failed(name, &error)),
            };
            let mut hasher = blake3::Hasher::new();
            let mut writer = File::create(file).map_err(|error| on_disk(file, &error))?;
            while let Some(piece) = content.next().await {
                let piece = piece.map_err(|error| self.failed(name, &error))?;
                if hasher.count() + piece.len() as u64 > bytes {
                    let detail = format!("it has more than the {bytes} bytes that it was written with");
                    return Err(CheckpointError::Damaged { place: self.place(name), detail });
                }
                hasher.update(&piece);
                writer.write_all(&piece).map_err(|error| on_disk(file, &error))?;
            }
            writer.sync_all().map_err(|error| on_disk(file, &error))?;
            Ok(Some(Digest(*hasher.finalize().as_bytes())))
        };
        self.wait(read)
    }

    /// Everything below a name, in its order.
    ///
    /// # Errors
    /// When the object store does not say.
    pub fn list(&self, below: &str) -> Result<Vec<Object>, CheckpointError> {
        let prefix = self.name(below);
        let ours = self.root.parts().count();
        let read = async {
            let mut listed = self.objects.list(Some(&prefix));
            let mut objects = Vec::new();
            while let Some(meta) = listed.next().await {
                let meta = meta?;
                let name: Vec<String> = meta.location.parts().skip(ours).map(|part| part.as_ref().to_owned()).collect();
                objects.push(object(name.join("/"), &meta));
            }
            Ok(objects)
        };
        let mut objects: Vec<Object> =
            self.wait(read).map_err(|error: object_store::Error| self.failed(below, &error))?;
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(objects)
    }

    /// Removes an object, if it is there.
    ///
    /// # Errors
    /// When the object store refuses.
    pub fn remove(&self, name: &str) -> Result<(), CheckpointError> {
        match self.wait(self.objects.delete(&self.name(name))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(name, &error)),
        }
    }
}

fn object(name: String, meta: &ObjectMeta) -> Object {
    Object { name, bytes: meta.size, modified: meta.last_modified.timestamp_millis() }
}

fn next_piece(reader: &mut File) -> std::io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(PIECE);
    reader.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

fn on_disk(file: &Path, error: &std::io::Error) -> CheckpointError {
    CheckpointError::Disk { place: file.display().to_string(), detail: error.to_string() }
}

/// A local file's hash: its name in the vault.
///
/// # Errors
/// When the disk does not give it.
pub fn hash(file: &Path) -> Result<(Digest, u64), CheckpointError> {
    let mut hasher = blake3::Hasher::new();
    let mut reader = File::open(file).map_err(|error| on_disk(file, &error))?;
    loop {
        let piece = next_piece(&mut reader).map_err(|error| on_disk(file, &error))?;
        if piece.is_empty() {
            return Ok((Digest(*hasher.finalize().as_bytes()), hasher.count()));
        }
        hasher.update(&piece);
    }
}
