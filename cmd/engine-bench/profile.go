package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
)

// profiles are those that flags ask for, for go tool pprof.
type profiles struct {
	cpu    *os.File // nil unless it is being written
	allocs string   // file, "" for none
}

// newProfiles adds the flags to f. The profile of the CPU begins when its flag is parsed.
func newProfiles(f *flag.FlagSet) *profiles {
	p := new(profiles)
	f.Func("cpuprofile", "`file` for a profile of this process's CPU", func(name string) (err error) {
		if p.cpu != nil {
			return errors.New("it is given twice")
		}
		if p.cpu, err = os.Create(name); err != nil {
			return err
		}
		return pprof.StartCPUProfile(p.cpu)
	})
	f.StringVar(&p.allocs, "memprofile", "", "`file` for a profile of what this process allocated")
	return p
}

// end writes what was asked for.
func (p *profiles) end() error {
	var errs []error
	if p.cpu != nil {
		pprof.StopCPUProfile()
		errs = append(errs, p.cpu.Close())
	}
	if p.allocs != "" {
		errs = append(errs, writeAllocs(p.allocs))
	}
	return errors.Join(errs...)
}

// writeAllocs writes the profile of what was allocated, and of what of it is in use.
func writeAllocs(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	runtime.GC() // the profile is of the last collection
	if err := pprof.Lookup("allocs").WriteTo(f, 0); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), f.Close())
	}
	return f.Close()
}
