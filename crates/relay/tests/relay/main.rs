//! The relay core, driven from outside: real sockets, pipes, files and children on one side of the
//! public interface, a loop that runs on a thread of its own (or in a process of its own, where
//! limits, stops or faults would hurt the test) on the other.
//!
//! One binary with a module for each theme. A test runs inside a [`scene`], which keeps the others
//! out and takes the census before and after, so each test also shows that descriptors and children
//! return to where they were; ending a [`running::Running`] loop checks its books. What should not
//! depend on how bytes are moved is played twice at once, with and without splice(2).

mod admission;
mod bench;
mod openers;
mod process;
mod puppet;
mod running;
mod scene;
mod shell;

mod bursts;
mod bytes;
mod children;
mod commands;
mod faults;
mod files;
mod half_close;
mod handover;
mod heaps;
mod holds;
mod limits;
mod orders;
mod pacing;
mod policy;
mod pressure;
mod queues;
mod resets;
mod services;
mod sessions;
mod sharing;
mod shortage;
mod sources;
mod timers;
mod vanishing;
