//! Sessions: the test kit's small multiplexing protocol as an endpoint of a loop, with scripted
//! clients and servers around it.

mod endpoint;

mod bytes;
mod cost;
mod crowds;
mod drain;
mod ends;
mod limits;
mod lists;
mod paces;
mod pressure;
mod vanish;
