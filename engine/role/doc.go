// Package role says what a process of a user's program is for, and connects it with
// the daemon that started it.
//
// A daemon starts the processes of jobs from the submitted binary, with the program's
// arguments, [Env] in the environment and one end of a socket pair as file descriptor
// 3. Over it the process calls the daemon's service, JobLog or Worker. Nobody else can
// reach the socket, and it is how each sees that the other is gone: when it closes the
// process ends.
package role
