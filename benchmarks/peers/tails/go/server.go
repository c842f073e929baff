// Go's net package: a goroutine for each connection.
//
// server THREADS    prints `listening on 127.0.0.1:PORT`; ../protocol.hpp says what it is asked
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

const (
	messageSize = 64
	readSize    = 16384
	burnTime    = 20 * time.Millisecond
	blockTime   = 200 * time.Millisecond
)

var largeAnswer = make([]byte, 1<<20)

func isHeavy(kind byte) bool { return kind == 'H' || kind == 'B' || kind == 'L' }

const rounds = 2000

//go:noinline
func compute(state uint64) uint64 {
	for i := 0; i < rounds; i++ {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
	}
	return state
}

func cpuTimeOfThread() time.Duration {
	const threadClock = 3
	var used syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&used)), 0)
	return time.Duration(used.Nano())
}

// A goroutine may change its thread in the midst of a burn, so the thread's clock cannot be asked then: how much work
// 20 ms of CPU time are is measured before.
var roundsOfBurn int

func calibrate() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	state := uint64(88172645463325252)
	best := 1 << 62
	for try := 0; try < 5; try++ {
		begun, n := cpuTimeOfThread(), 0
		for ; n < 20000; n++ {
			state = compute(state)
		}
		if used := int(cpuTimeOfThread() - begun); used < best {
			best = used
			roundsOfBurn = int(int64(n) * int64(burnTime) / int64(used))
		}
	}
	sink = state
}

var sink uint64

func burn() {
	state := uint64(88172645463325252)
	for i := 0; i < roundsOfBurn; i++ {
		state = compute(state)
	}
	if state == 0 {
		sink = state
	}
}

// In a system call that blocks; time.Sleep would not block a thread.
func block() {
	left := syscall.NsecToTimespec(int64(blockTime))
	for syscall.Nanosleep(&left, &left) == syscall.EINTR {
	}
}

// Does what the message asks for and gives the answer.
func answerHeavy(message []byte) []byte {
	switch message[0] {
	case 'H':
		burn()
	case 'B':
		block()
	case 'L':
		return largeAnswer
	}
	return message
}

func serve(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, readSize)
	filled := 0
	for {
		count, err := connection.Read(buffer[filled:])
		if err != nil {
			return
		}
		filled += count
		begin, end := 0, 0
		for ; end+messageSize <= filled; end += messageSize {
			if !isHeavy(buffer[end]) {
				continue
			}
			if begin < end {
				if _, err := connection.Write(buffer[begin:end]); err != nil {
					return
				}
			}
			begin = end + messageSize
			if _, err := connection.Write(answerHeavy(buffer[end:begin])); err != nil {
				return
			}
		}
		if begin < end {
			if _, err := connection.Write(buffer[begin:end]); err != nil {
				return
			}
		}
		copy(buffer, buffer[end:filled])
		filled -= end
	}
}

func main() {
	threads := 2
	if len(os.Args) > 1 {
		threads, _ = strconv.Atoi(os.Args[1])
	}
	runtime.GOMAXPROCS(threads)
	calibrate()
	for i := range largeAnswer {
		largeAnswer[i] = 'L'
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	for {
		connection, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go serve(connection)
	}
}
