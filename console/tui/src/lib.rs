//! The console: state, keymap, layouts and panes.
