// node-zookeeper-client, the client that most programs for Node use. Run by with_servers.py; NODE_PATH tells where it
// is installed. Exit code 77: it is not.
'use strict';

const assert = require('assert');
const readline = require('readline');

const DEADLINE_MS = 60000;
const SESSION_TIMEOUT_MS = 20000;
const operator = readline.createInterface({input: process.stdin})[Symbol.asyncIterator]();
let zookeeper;

try {
    zookeeper = require('node-zookeeper-client');
} catch (reason) {
    console.log('node-zookeeper-client is not installed');
    process.exit(77);
}

const {CreateMode, Event, Exception} = zookeeper;

// A call of the client as a promise.
function call(client, method, ...words) {
    return new Promise((resolve, reject) => {
        client[method](...words, (error, ...results) => error ? reject(error) : resolve(results));
    });
}

function withDeadline(what, promise) {
    let timer;
    const late = new Promise((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`not in time: ${what}`)), DEADLINE_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function connect() {
    const client = zookeeper.createClient(process.env.ZOOKEEPER_HOSTS, {
        sessionTimeout: SESSION_TIMEOUT_MS, spinDelay: 50, retries: 3});
    const connected = new Promise((resolve) => client.once('connected', resolve));
    client.connect();
    await withDeadline('connected', connected);
    return client;
}

// The client tells of a lost connection; what was asked is asked again, as applications do.
async function retry(client, method, ...words) {
    const end = Date.now() + DEADLINE_MS;
    for (;;) {
        try {
            return await call(client, method, ...words);
        } catch (error) {
            const isLost = !error.getCode || error.getCode() === Exception.CONNECTION_LOSS;
            assert(isLost && Date.now() < end, error);
        }
    }
}

// Another server may lag: a node that is not there yet is looked for again. This client knows no sync.
async function retryMissing(client, path) {
    const end = Date.now() + DEADLINE_MS;
    for (;;) {
        try {
            return await call(client, 'getData', path);
        } catch (error) {
            if (!hasCode(Exception.NO_NODE)(error) || Date.now() > end) {
                throw error;
            }
        }
    }
}

async function ask(command) {
    console.log(`\n${command}`);
    assert.strictEqual((await operator.next()).value, 'done');
}

function hasCode(code) {
    return (error) => error.getCode && error.getCode() === code;
}

// A watcher that can be waited for.
function watcher() {
    let tell;
    const told = new Promise((resolve) => { tell = resolve; });
    return {on: (event) => tell(event), told: () => withDeadline('an event', told)};
}

const tests = {
    async 'nodes and their counters'() {
        const client = await connect();
        const [path] = await call(client, 'create', '/js', Buffer.from('one'));
        assert.strictEqual(path, '/js');
        await assert.rejects(call(client, 'create', '/js'), hasCode(Exception.NODE_EXISTS));
        await assert.rejects(call(client, 'create', '/missing/js'), hasCode(Exception.NO_NODE));
        const [data, stat] = await call(client, 'getData', '/js');
        assert.strictEqual(data.toString(), 'one');
        assert.strictEqual(stat.version, 0);
        assert.deepStrictEqual(stat.czxid, stat.mzxid);
        const [set] = await call(client, 'setData', '/js', Buffer.from('two'), 0);
        assert.strictEqual(set.version, 1);
        await assert.rejects(call(client, 'setData', '/js', Buffer.from(''), 0), hasCode(Exception.BAD_VERSION));
        const [first] = await call(client, 'create', '/js/n-', null, CreateMode.PERSISTENT_SEQUENTIAL);
        assert.strictEqual(first, '/js/n-0000000000');
        const [children, parent] = await call(client, 'getChildren', '/js');
        assert.deepStrictEqual(children, ['n-0000000000']);
        assert.strictEqual(parent.numChildren, 1);
        await assert.rejects(call(client, 'remove', '/js'), hasCode(Exception.NOT_EMPTY));
        await call(client, 'removeRecursive', '/js');
        await call(client, 'mkdirp', '/jsm/a/b');
        assert.notStrictEqual((await call(client, 'exists', '/jsm/a/b'))[0], null);
        const [missing] = await call(client, 'exists', '/js');
        assert.strictEqual(missing, null);
        client.close();
    },

    async 'a transaction is all or nothing'() {
        const client = await connect();
        const good = client.transaction().create('/jst').setData('/jst', Buffer.from('x'), 0).check('/jst', 1);
        const [results] = await call(good, 'commit');
        assert.strictEqual(results.length, 3);
        const bad = client.transaction().setData('/jst', Buffer.from('y')).check('/jst', 7).remove('/jst');
        await assert.rejects(call(bad, 'commit'), hasCode(Exception.BAD_VERSION));
        const [data] = await call(client, 'getData', '/jst');
        assert.strictEqual(data.toString(), 'x');
        client.close();
    },

    async 'watches fire'() {
        const client = await connect();
        const other = await connect();
        const [data, children, created] = [watcher(), watcher(), watcher()];
        await call(client, 'create', '/jsw');
        await call(client, 'getData', '/jsw', data.on);
        await call(client, 'getChildren', '/jsw', children.on);
        await call(client, 'exists', '/jsw/n', created.on);
        await call(other, 'setData', '/jsw', Buffer.from('x'));
        await call(other, 'create', '/jsw/n');
        assert.strictEqual((await data.told()).getType(), Event.NODE_DATA_CHANGED);
        assert.strictEqual((await children.told()).getType(), Event.NODE_CHILDREN_CHANGED);
        assert.strictEqual((await created.told()).getType(), Event.NODE_CREATED);
        client.close();
        other.close();
    },

    async 'permissions keep strangers out'() {
        const [owner, stranger] = [await connect(), await connect()];
        owner.addAuthInfo('digest', Buffer.from('u:p'));
        await call(owner, 'create', '/jsa', Buffer.from('s'), zookeeper.ACL.CREATOR_ALL_ACL);
        await assert.rejects(retryMissing(stranger, '/jsa'), hasCode(Exception.NO_AUTH));
        const [acls] = await call(owner, 'getACL', '/jsa');
        assert.strictEqual(acls[0].id.id, 'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=');
        owner.close();
        stranger.close();
    },

    async 'an ephemeral goes with its session'() {
        const [owner, other] = [await connect(), await connect()];
        const gone = watcher();
        await call(owner, 'create', '/jse', null, CreateMode.EPHEMERAL);
        await retryMissing(other, '/jse');
        const [stat] = await call(other, 'exists', '/jse', gone.on);
        assert.deepStrictEqual(stat.ephemeralOwner, owner.getSessionId());
        owner.close();
        assert.strictEqual((await gone.told()).getType(), Event.NODE_DELETED);
        other.close();
    },

    async 'a session outlives the leader'() {
        const client = await connect();
        const session = client.getSessionId();
        const later = watcher();
        await call(client, 'create', '/jso', null, CreateMode.EPHEMERAL);
        await call(client, 'exists', '/jso-later', later.on);
        await ask('@kill-leader');
        const [stat] = await retry(client, 'setData', '/jso', Buffer.from('x'));
        assert.deepStrictEqual(stat.ephemeralOwner, session);
        assert.deepStrictEqual(client.getSessionId(), session);
        await ask('@start-killed');
        const other = await connect();
        await call(other, 'create', '/jso-later');
        assert.strictEqual((await later.told()).getType(), Event.NODE_CREATED);
        client.close();
        other.close();
    },
};

async function main() {
    let failures = 0;
    for (const [claim, test] of Object.entries(tests)) {
        try {
            await test();
            console.log(`passed: ${claim}`);
        } catch (error) {
            console.log(`FAILED: ${claim}: ${error.stack}`);
            failures++;
        }
    }
    process.exit(failures === 0 ? 0 : 1);
}

main();
