//! Nodes laid out as files: their pods and containers found, and what is damaged there survived.

mod hostile;
mod layouts;
mod node;
mod residents;
mod speed;
