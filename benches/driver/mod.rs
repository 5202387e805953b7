//! One worker driven by hand, as the pipeline does it with a capture: for what measures the packet
//! path without files and threads.
#![allow(dead_code, reason = "each bench uses its own part of it")]
#![allow(unreachable_pub, reason = "a module of several programs")]

use std::sync::Arc;

use shadowscope::flow::hash::Seed;
use shadowscope::packet::LinkType;
use shadowscope::time::Timestamp;
use shadowscope::worker::clock::SensorClock;
use shadowscope::worker::intake::{Frame, Intake};
use shadowscope::worker::part::Part;
use shadowscope::worker::{BATCH, Item, Settings, Worker};

use crate::generator::Traffic;

/// A worker and what stands before it.
pub struct Driver {
    intake: Intake,
    clock: SensorClock,
    worker: Worker,
}

impl Driver {
    /// A worker without flows whose hashes are the same in each run.
    pub fn new() -> Driver {
        let settings = Arc::new(Settings { seed: Seed::fixed(), ..Settings::default() });
        Driver {
            intake: Intake::new(Arc::clone(&settings), None),
            clock: SensorClock::default(),
            worker: Worker::new(settings),
        }
    }

    /// Takes packets, in blocks of 1,024.
    pub fn feed(&mut self, traffic: &Traffic) {
        for records in traffic.records.chunks(1024) {
            let mut items = [Item::default(); BATCH];
            let mut filled = 0;
            for record in records {
                let time = Timestamp(record.time_nanos);
                self.clock.observe(time);
                let frame = Frame {
                    time,
                    link: LinkType::ETHERNET,
                    wire_length: record.frame.len() as u32,
                    bytes: &record.frame,
                };
                let sensor = self.clock.now().unwrap_or(time);
                if !self.intake.take(frame, sensor, &mut items[filled]) {
                    continue;
                }
                self.worker.expect(items[filled].hash);
                filled += 1;
                if filled == BATCH {
                    self.worker.process(&items);
                    filled = 0;
                }
            }
            self.worker.process(&items[..filled]);
            if self.worker.is_part_full() {
                drop(self.worker.take_part(Part::default()));
            }
        }
    }

    /// Ends all flows; how many sums there are.
    pub fn finish(&mut self) -> usize {
        self.worker.finish(self.clock.now());
        let part = self.worker.take_part(Part::default());
        part.usage.len() + part.questions.len()
    }

    /// Flows held now.
    pub fn flows(&self) -> usize {
        self.worker.flows()
    }
}
