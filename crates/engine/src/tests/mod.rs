//! Tests of what partitions do together, and of what a single one does for others.

mod channel;
mod checkpoint;
mod checkpoint_model;
mod content;
mod correlation;
mod definitions;
mod deletion;
mod deployment;
mod evaluate;
mod messages;
mod process_side;
mod signals;
mod world;
