//! The backend comparison: what each way into a namespace costs and how it behaves.

#![forbid(unsafe_code)]

pub mod conformance;
pub mod cost;
pub mod floor;
pub mod group;
pub mod holder;
pub mod load;
pub mod machine;
pub mod model;
pub mod noise;
pub mod opening;
pub mod placement;
pub mod player;
pub mod report;
pub mod request;
pub mod run;
pub mod stage;
pub mod subject;
pub mod teller;
pub mod words;
