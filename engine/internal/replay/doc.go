// Package replay runs a batch program in several processes, which make the same RDDs
// because they run the same function.
//
// The program's actions and values are its steps, numbered from 1. [Driver] runs the
// driver's copy: it computes each step and tells the executors of it with two
// [Entry]s, one when it has come to the step, one with what came of it. [Copy] is an
// executor's copy of the program, and follows: at a step it compares what it has
// made with what the driver has, lets tasks find it, and waits for the step's result.
//
// Between two steps a copy's lineage grows and no task runs that needs what is new;
// at a step it is frozen. So the lineage needs no lock, and what a task or another
// goroutine of the program adds to it is an error.
package replay
