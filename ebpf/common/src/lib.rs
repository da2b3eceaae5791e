//! What the kernel program and user space both know.
#![no_std]
