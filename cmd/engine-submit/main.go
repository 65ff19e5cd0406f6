// Engine-submit runs programs on a cluster and looks after their jobs.
//
//	engine-submit --master HOST:PORT,… [flags] PROGRAM [-- ARG …]
//	engine-submit list|status|logs|kill|plan|state|offsets|forget|model|cluster|executor|certs --help
//	engine-submit help [COMMAND]
//
// What a command is asked for goes to standard output, everything else to
// standard error.
package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/hibana-engine/hibana/engine/cli"
)

func main() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(&process{
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		signals: signals,
		width:   func() int { return cli.TerminalWidth(os.Stderr) },
	}, os.Args[1:]))
}
