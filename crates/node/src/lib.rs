//! See the package description.
#![no_std]
extern crate alloc;
