// Package wire holds what Hibana's processes say to each other: the messages, the
// services they belong to, and the codec. Of the module it imports package batchlog
// alone, whose types are what is recorded of a job. Who may talk at all is in package
// security, connections are in package rpc, and Tasks and Shuffle, which carry what
// the scheduler makes, in package remote.
//
// # Who talks to whom
//
//	engine-submit ──────────► Control ─────────► engine-driver (leader)
//	anyone        ──────────► Logs    ─────────► engine-driver, engine-executor
//	engine-driver ──────────► Drivers, Binaries ► engine-driver
//	engine-executor ────────► Executors ───────► engine-driver (leader)
//	engine-executor ────────► Binaries ────────► engine-driver
//	job driver process ─────► JobLog  ─────────► its engine-driver, over fd 3
//	job executor process ───► Worker  ─────────► its engine-executor, over fd 3
//	job driver process ─────► Tasks   ─────────► job executor process
//	job executor process ───► Shuffle ─────────► job executor process
//
// Services are gRPC with messages in msgpack: plain structs, one byte of format
// version before each. The set of messages is closed: a method takes and answers
// exactly the struct types in its signature, fields that this version doesn't
// know are refused, and nothing from the wire names a type, a path or a command.
//
// # Errors
//
// The errors of this package keep their identity over the wire: errors.Is tells
// a caller what the server's method returned.
package wire
