//! The mail server as its senders and its readers see it.

mod faults;
mod mails;
mod pages;
mod protocol;
mod support;
