//! Network namespaces: which is which, the way there and back, and what can be made in one.

pub(crate) mod birthplace;
pub(crate) mod delegation;
pub(crate) mod excursion;
pub(crate) mod home;
pub(crate) mod interior;
pub(crate) mod unborn;
