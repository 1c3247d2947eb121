//! Servers whose messages are odd, and which the clients of the official SDKs understand.

mod errors;
mod ids;
mod junk;
mod lists;
