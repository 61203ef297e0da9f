//! The configuration file as its users meet it: wrong files with the exact text of their errors, and the exit codes
//! and outputs of the commands that read it.

mod command;
mod wrong_files;
