// Package process runs the processes of jobs: a daemon starts the submitted
// program in the role of a driver or an executor, serves it over a socket pair,
// keeps what it prints, and knows why it ended. [Run] is one process from its
// start to its end; who starts another one, and when, is the caller's business.
//
// # When the connection breaks
//
// The socket pair is the bond between the two. If the daemon dies the kernel
// closes its end, and a program of this engine exits at once
// ([role.Parent.Gone]). If the process dies, [Run] returns. If it hangs, the
// socket is closed after some seconds and the process is killed, as is one that
// doesn't speak over it at all.
package process
