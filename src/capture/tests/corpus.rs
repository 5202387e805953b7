//! Against pcap-parser, which somebody else wrote: on files made here, and on a folder of real
//! captures where `SHADOWSCOPE_CAPTURES` names one.

use std::io::Cursor;
use std::path::Path;

use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};
use proptest::prelude::*;

use super::write::{KINDS, Kind, read, samples, write};
use crate::capture::{Filter, Outcome, Plan};

/// The frames that pcap-parser reads; `None` when it finds fault with the file.
fn oracle(bytes: Vec<u8>) -> Option<Vec<Vec<u8>>> {
    let mut reader = create_reader(1 << 20, Cursor::new(bytes)).ok()?;
    let mut frames = Vec::new();
    let mut refills = 0;
    loop {
        match reader.next() {
            Ok((offset, block)) => {
                let frame = match &block {
                    PcapBlockOwned::Legacy(packet) => Some(packet.data),
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => Some(packet.packet_data()),
                    PcapBlockOwned::NG(Block::SimplePacket(packet)) => Some(packet.packet_data()),
                    _ => None,
                };
                frames.extend(frame.map(<[u8]>::to_vec));
                reader.consume(offset);
                refills = 0;
            }
            Err(PcapError::Eof) => return Some(frames),
            Err(PcapError::Incomplete(_)) if refills < 3 => {
                refills += 1;
                reader.refill().ok()?;
            }
            Err(_) => return None,
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_pcap_parser(
        samples in samples(20),
        // The obsolete packet block is one that pcap-parser does not read.
        kind in proptest::sample::select(&KINDS[..4]),
        big_endian: bool,
    ) {
        // Nor does it read the modified variant in the other byte order.
        prop_assume!(kind != Kind::PcapModified || !big_endian);
        let bytes = write(kind, big_endian, &samples).bytes;
        let theirs = oracle(bytes.clone());
        let ours = read(bytes, 512).0.into_iter().map(|sample| sample.frame).collect();
        prop_assert_eq!(Some::<Vec<_>>(ours), theirs);
    }
}

#[test]
fn agrees_with_pcap_parser_on_real_captures() {
    let Some(folder) = std::env::var_os("SHADOWSCOPE_CAPTURES") else {
        return;
    };
    let plan = Plan::survey(&[folder]).expect("the folder holds files");
    let paths: Vec<_> = plan.files().iter().map(|file| file.path.clone()).collect();
    let mut compared = 0;
    for path in &paths {
        compared += usize::from(compare(path));
    }
    assert!(compared > 100, "{compared} captures of {} files", paths.len());

    let mut run = plan.open(Filter::default()).expect("no filter");
    let mut block = crate::capture::Block::default();
    let mut packets = 0;
    while run.next_block(&mut block) {
        packets +=
            block.frames().map(|(_, frame)| usize::from(frame.len() < 1 << 20)).sum::<usize>();
    }
    let counted: u64 = run.files().iter().map(|file| file.packets).sum();
    assert_eq!(packets as u64, counted);
}

/// Whether pcap-parser reads the file too; then both must see the same frames.
fn compare(path: &Path) -> bool {
    let bytes = std::fs::read(path).expect("listed a moment ago");
    let (ours, outcome) = read(bytes.clone(), 8_192);
    if matches!(outcome, Outcome::NotACapture(_)) {
        return false;
    }
    println!("{}: {} packets, {outcome}", path.display(), ours.len());
    let Some(theirs) = oracle(bytes) else {
        println!("    pcap-parser finds fault with it");
        return false;
    };
    assert_eq!(outcome, Outcome::Whole, "{}", path.display());
    assert_eq!(ours.len(), theirs.len(), "{}", path.display());
    let equal = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours.frame == **theirs).count();
    assert_eq!(equal, ours.len(), "{}", path.display());
    true
}
