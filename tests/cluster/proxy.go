package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// faults stands between a client and the API server and does to its requests what it is told.
type faults struct {
	mutex   sync.Mutex
	random  *rand.Rand
	status  int           // answered instead of serving, 0: none
	share   float64       // of the requests that are refused
	lag     time.Duration // by which watches are late
	watches map[int]context.CancelFunc
	next    int
}

func newFaults() *faults {
	return &faults{random: rand.New(rand.NewSource(1)), watches: map[int]context.CancelFunc{}}
}

// command is one of
//
//	none                 every request is served
//	refuse STATUS SHARE  this share of the requests, 0 to 1, is answered with the status
//	lag DURATION         what watches say arrives later by this; open watches are ended
//	drop                 open watches are ended
func (f *faults) command(words []string) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	var err error
	switch {
	case len(words) == 1 && words[0] == "none":
		f.status, f.share, f.lag = 0, 0, 0
	case len(words) == 3 && words[0] == "refuse":
		if f.status, err = strconv.Atoi(words[1]); err == nil {
			f.share, err = strconv.ParseFloat(words[2], 64)
		}
		return err
	case len(words) == 2 && words[0] == "lag":
		if f.lag, err = time.ParseDuration(words[1]); err != nil {
			return err
		}
	case len(words) == 1 && words[0] == "drop":
	default:
		return fmt.Errorf("no such fault: %v", words)
	}
	for _, end := range f.watches {
		end()
	}
	return nil
}

func (f *faults) refused() (int, bool) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.status, f.status != 0 && f.random.Float64() < f.share
}

// proxy serves the API server at target with these faults.
func (f *faults) proxy(target *url.URL) http.Handler {
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.FlushInterval = -1
	// A server that is restarted refuses connections: that is what is tested, not news.
	forward.ErrorLog = log.New(io.Discard, "", 0)
	forward.Transport = &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 100,
	}
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if status, refused := f.refused(); refused {
			if status == http.StatusTooManyRequests {
				writer.Header().Set("Retry-After", "1")
			}
			writer.Header().Set("Content-Type", "application/json")
			writer.WriteHeader(status)
			fmt.Fprintf(writer, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"made to fail","reason":"InternalError","code":%d}`, status)
			return
		}
		if request.URL.Query().Get("watch") == "" {
			forward.ServeHTTP(writer, request)
			return
		}
		ctx, cancel := context.WithCancel(request.Context())
		f.mutex.Lock()
		id, lag := f.next, f.lag
		f.next++
		f.watches[id] = cancel
		f.mutex.Unlock()
		defer func() {
			cancel()
			f.mutex.Lock()
			delete(f.watches, id)
			f.mutex.Unlock()
			if reason := recover(); reason != nil && reason != http.ErrAbortHandler {
				panic(reason)
			}
		}()
		late := &lateWriter{ResponseWriter: writer, lag: lag}
		if lag > 0 {
			late.start(ctx)
			defer late.stop()
		}
		forward.ServeHTTP(late, request.WithContext(ctx))
	})
}

// lateWriter passes on what is written, in order, after a lag.
type lateWriter struct {
	http.ResponseWriter
	lag    time.Duration
	queue  chan piece
	served chan struct{}
}

type piece struct {
	due  time.Time
	data []byte
}

func (w *lateWriter) start(ctx context.Context) {
	w.queue, w.served = make(chan piece, 10000), make(chan struct{})
	go func() {
		defer close(w.served)
		for p := range w.queue {
			select {
			case <-time.After(time.Until(p.due)):
			case <-ctx.Done():
				continue
			}
			_, _ = w.ResponseWriter.Write(p.data)
			_ = http.NewResponseController(w.ResponseWriter).Flush()
		}
	}()
}

func (w *lateWriter) stop() {
	close(w.queue)
	<-w.served
}

func (w *lateWriter) Write(data []byte) (int, error) {
	if w.queue == nil {
		return w.ResponseWriter.Write(data)
	}
	w.queue <- piece{time.Now().Add(w.lag), append([]byte{}, data...)}
	return len(data), nil
}

// FlushError is what httputil.ReverseProxy calls after each write; late pieces are flushed as they go.
func (w *lateWriter) FlushError() error {
	if w.queue != nil {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}
