package role

// Env is the environment variable that tells a program which role it plays.
// A program that is run by hand hasn't got it.
const Env = "HIBANA_ROLE"

// The roles of a program's process, values of Env.
const (
	Driver   = "driver"   // run the job: the service on fd 3 is JobLog
	Executor = "executor" // run tasks: the service on fd 3 is Worker
)

// ExitInterrupted is the exit status of a program that was told to end by a signal:
// whoever started it is not to blame a task of its for that.
const ExitInterrupted = 130
