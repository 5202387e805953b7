//! Capture files, raw, built or compressed, one by itself or two at a time.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use shadowscope::capture::{Block, FRAME_BYTES_MAX, Filter, Outcome, Plan};

use super::capture_file;
use super::choices::Choices;

/// The first byte says what the others are.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices(data);
    match choices.byte() % 4 {
        0 => read(&[choices.0]),
        1 => read(&[&capture_file::generate(&mut choices)]),
        2 => {
            let first = capture_file::generate(&mut choices);
            let second = capture_file::generate(&mut choices);
            read(&[&first, &second]);
        }
        _ => {
            let length = usize::from(choices.number()) % (choices.0.len() + 1);
            let first = choices.take(length);
            read(&[first, choices.0]);
        }
    }
}

/// Reads files with these bytes as one run.
fn read(files: &[&[u8]]) {
    let files: Vec<Temporary> = files.iter().map(|bytes| Temporary::new(bytes)).collect();
    let arguments: Vec<OsString> = files.iter().map(|file| file.path.clone().into()).collect();
    let plan = Plan::survey(&arguments).expect("files named by themselves");
    assert_eq!(plan.files().len(), files.len());
    let mut run = plan.open(Filter::default()).expect("a filter that lets everything pass");
    let mut block = Block::default();
    let (mut packets, mut blocks, mut bytes) = (0, 0, 0);
    while run.next_block(&mut block) {
        assert_eq!(block.number, blocks);
        assert!(!block.records.is_empty());
        blocks += 1;
        packets += block.records.len() as u64;
        for (record, frame) in block.frames() {
            assert!(record.captured <= record.wire_length && record.captured <= FRAME_BYTES_MAX);
            bytes += frame.len() as u64;
        }
    }
    assert!(block.records.is_empty() && !run.next_block(&mut block));
    assert_eq!(run.progress().packets(), packets);
    assert_eq!(run.files().iter().map(|file| file.packets).sum::<u64>(), packets);
    let size = files.iter().map(|file| file.size as u64).sum();
    let any_packed = files.iter().any(|file| file.packed);
    assert!(any_packed || bytes <= size);
    assert_eq!(run.progress().bytes_read() > 0, packets > 0);
    for file in run.files() {
        match file.outcome {
            Outcome::Pending | Outcome::Missing | Outcome::Filter(_) | Outcome::LeftOut => {
                panic!("{:?}", file.outcome);
            }
            Outcome::Damaged { offset, .. } => assert!(any_packed || offset <= size),
            Outcome::Whole | Outcome::NotACapture(_) | Outcome::Failed(_) => {}
        }
    }
    assert!(run.exit_code() <= 2);
}

/// A file that is gone with the value.
struct Temporary {
    path: PathBuf,
    size: usize,
    /// Whether it may unpack to more than it is.
    packed: bool,
}

impl Temporary {
    fn new(bytes: &[u8]) -> Temporary {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("shadowscope-fuzz-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).expect("a file in the folder for temporary files");
        let packed = bytes.starts_with(b"\x1f\x8b")
            || bytes.get(1..4) == Some(b"\xb5\x2f\xfd")
            || bytes.get(1..4) == Some(b"\x2a\x4d\x18");
        Temporary { path, size: bytes.len(), packed }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is not removed now the system removes later.
        let _ = std::fs::remove_file(&self.path);
    }
}
