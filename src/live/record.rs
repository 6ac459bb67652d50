//! Records decisions in a folder ([`crate::sim::recording`] has the format).
//!
//! A recording is a row of files, each readable without the others; when the folder has grown to its
//! limit, the oldest are deleted.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::signals::Listener;
use crate::engine::objects::ObjectRef;
use crate::sim::DecisionRecord;
use crate::sim::recording::Encoder;
use crate::time::Timestamp;

/// Of `decisions-00000001.jsonl`.
const PREFIX: &str = "decisions-";
const SUFFIX: &str = ".jsonl";
/// Files that the limit is divided by.
const FILES: u64 = 8;
/// Decisions that may wait for the disk before those who decide do.
const WAITING: usize = 1024;

/// Writes decisions down.
pub struct Recorder {
    state: Mutex<State>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    encoder: Encoder,
    /// Of the file that is being written.
    bytes: u64,
    max_file_bytes: u64,
    out: Option<SyncSender<Message>>,
    /// A file has come to an early end, and the next one has to begin from the start.
    broken: Arc<AtomicBool>,
}

enum Message {
    Lines(String),
    NextFile,
}

impl Recorder {
    /// Records into this folder, which is made if needed, after what is there; at most `max_bytes`
    /// in all.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn new(folder: &Path, max_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let broken = Arc::new(AtomicBool::new(false));
        let files = Files::open(folder, max_bytes, broken.clone())?;
        let (out, waiting) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || files.write(&waiting))?;
        Ok(Self {
            state: Mutex::new(State {
                encoder: Encoder::default(),
                bytes: 0,
                max_file_bytes: max_bytes / FILES,
                out: Some(out),
                broken,
            }),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Records a decision.
    pub fn record(&self, now: Timestamp, record: &DecisionRecord<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_broken = state.broken.swap(false, Ordering::Relaxed);
        if is_broken || state.bytes > state.max_file_bytes {
            state.encoder = Encoder::default();
            state.bytes = 0;
            state.send(Message::NextFile);
        }
        match state.encoder.encode(now, record) {
            Ok(lines) => {
                state.bytes = state
                    .bytes
                    .saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
                state.send(Message::Lines(lines));
            }
            Err(error) => {
                tracing::error!(%error, "a decision cannot be recorded");
                state.broken.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Waits until all is written; nothing can be recorded afterwards.
    pub fn finish(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.out = None;
        drop(state);
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the recorder has panicked");
        }
    }
}

impl Listener for Recorder {
    fn decided(&self, now: Timestamp, _object: &ObjectRef, record: &DecisionRecord<'_>) {
        self.record(now, record);
    }
}

impl State {
    fn send(&self, message: Message) {
        // Fails only when the thread has panicked, which is said at the end.
        if let Some(out) = &self.out {
            let _ = out.send(message);
        }
    }
}

/// Writes a whole recording as the next file of a folder.
///
/// # Errors
/// The folder cannot be written.
pub fn write(folder: &Path, lines: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let last = files(folder)?.last().and_then(|path| number(path));
    let (mut file, _) = create(folder, last.unwrap_or(0).saturating_add(1))?;
    file.write_all(lines.as_bytes())
}

/// The files of a recording in their order.
///
/// # Errors
/// The folder cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut numbered: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(number) = number(&path) {
            numbered.push((number, path));
        }
    }
    numbered.sort();
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}

fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix(PREFIX)?
        .strip_suffix(SUFFIX)?
        .parse()
        .ok()
}

/// The folder, on the thread that writes.
struct Files {
    folder: PathBuf,
    max_bytes: u64,
    broken: Arc<AtomicBool>,
    /// Oldest first, with their sizes; without the one being written.
    full: VecDeque<(PathBuf, u64)>,
    next_number: u64,
    file: File,
    path: PathBuf,
    bytes: u64,
    /// Nothing more is written into the file: its end is missing.
    failed: bool,
}

impl Files {
    fn open(folder: &Path, max_bytes: u64, broken: Arc<AtomicBool>) -> io::Result<Self> {
        let mut full = VecDeque::new();
        let mut next_number = 1;
        for path in files(folder)? {
            next_number = number(&path).map_or(next_number, |number| number.saturating_add(1));
            let bytes = fs::metadata(&path)?.len();
            full.push_back((path, bytes));
        }
        let (file, path) = create(folder, next_number)?;
        Ok(Self {
            folder: folder.to_owned(),
            max_bytes,
            broken,
            full,
            next_number: next_number.saturating_add(1),
            file,
            path,
            bytes: 0,
            failed: false,
        })
    }

    fn write(mut self, waiting: &Receiver<Message>) {
        for message in waiting {
            let written = match message {
                Message::Lines(_) if self.failed => continue,
                Message::Lines(lines) => self.add(&lines),
                Message::NextFile => self.next_file(),
            };
            self.failed = written.is_err();
            if let Err(error) = written {
                let path = self.path.display();
                tracing::error!(%error, %path, "decisions are not recorded");
                self.broken.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Each decision in one write: what a crash leaves behind is whole but for the last line.
    fn add(&mut self, lines: &str) -> io::Result<()> {
        self.file.write_all(lines.as_bytes())?;
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(length);
        Ok(())
    }

    fn next_file(&mut self) -> io::Result<()> {
        self.full.push_back((self.path.clone(), self.bytes));
        let room = self.max_bytes.saturating_sub(self.max_bytes / FILES);
        let mut total: u64 = self.full.iter().map(|(_, bytes)| bytes).sum();
        while total > room {
            let Some((path, bytes)) = self.full.pop_front() else {
                break;
            };
            fs::remove_file(path)?;
            total = total.saturating_sub(bytes);
        }
        (self.file, self.path) = create(&self.folder, self.next_number)?;
        self.next_number = self.next_number.saturating_add(1);
        self.bytes = 0;
        Ok(())
    }
}

fn create(folder: &Path, number: u64) -> io::Result<(File, PathBuf)> {
    let path = folder.join(format!("{PREFIX}{number:08}{SUFFIX}"));
    // Manifests are nobody else's business.
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    Ok((file, path))
}
