//! The backend comparison: what each way into a namespace costs and how it behaves.

pub mod load;
pub mod model;
pub mod report;
