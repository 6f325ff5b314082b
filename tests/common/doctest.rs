// The hidden beginning of the examples of the clients, which include this expression: the address
// of a server with an empty store, and a value that stops the server when it is dropped.
{
    use kvs::thread_pool::SharedQueueThreadPool;
    use kvs::{KvStore, KvsServer, server::ShutdownHandle};
    use std::thread::{self, JoinHandle};

    struct Server {
        shutdown: ShutdownHandle,
        thread: Option<JoinHandle<kvs::Result<()>>>,
        _dir: tempfile::TempDir,
    }

    impl Drop for Server {
        fn drop(&mut self) {
            self.shutdown.shutdown();
            self.thread.take().unwrap().join().unwrap().unwrap();
        }
    }

    let dir = tempfile::tempdir().unwrap();
    let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 2).unwrap();
    let server = KvsServer::new(store).bind(([127, 0, 0, 1], 0).into()).unwrap();
    let addr = server.local_addr();
    let shutdown = server.shutdown_handle();
    let thread = Some(thread::spawn(|| server.run()));
    (addr, Server { shutdown, thread, _dir: dir })
}
