// Package local is a scheduler backend that runs tasks in this process: each slot
// of an executor is a goroutine. There is usually one executor; tests have
// several and lose some of them.
package local
