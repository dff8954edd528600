//! The backend comparison: what each way into a namespace costs and how it behaves.

pub mod conformance;
pub mod holder;
pub mod load;
pub mod model;
pub mod player;
pub mod report;
pub mod stage;
pub mod subject;
