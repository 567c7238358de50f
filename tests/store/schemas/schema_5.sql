BEGIN TRANSACTION;
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at DATETIME NOT NULL, 
	run_id VARCHAR(64) NOT NULL, 
	subject VARCHAR(1024) NOT NULL, 
	action VARCHAR(64) NOT NULL, 
	outcome VARCHAR(64) NOT NULL, 
	message TEXT NOT NULL, 
	details JSON NOT NULL
);
INSERT INTO "events" VALUES(1,'2026-11-01 12:00:00.000000','run-1','a','converge','converged','serves credit@1','{"version": "credit@1"}');
CREATE TABLE leases (
	"key" VARCHAR(1024) NOT NULL, 
	token INTEGER NOT NULL, 
	released BOOLEAN NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	machine VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	process_started BIGINT, 
	user VARCHAR(255) NOT NULL, 
	run_id VARCHAR(64) NOT NULL, 
	acquired_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	ttl_seconds FLOAT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "leases" VALUES('version:credit@1',1,0,'host-a','boot-a',7,123456,'ann','run-1','2026-11-01 12:00:00.000000','2026-11-01 12:02:00.000000',120.0);
CREATE TABLE operations (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	kind VARCHAR(32) NOT NULL, 
	model VARCHAR(255) NOT NULL, 
	label VARCHAR(255) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	attempt INTEGER NOT NULL, 
	phase VARCHAR(16) NOT NULL CHECK (phase IN ('intent', 'registered', 'started', 'closed')), 
	jobs_url TEXT, 
	job_id VARCHAR(255), 
	output_relative TEXT, 
	outcome VARCHAR(16) CHECK (outcome IN ('succeeded', 'failed', 'cancelled', 'abandoned')), 
	message TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	deadline DATETIME, 
	CHECK (phase NOT IN ('registered', 'started') OR job_id IS NOT NULL), 
	CHECK ((phase = 'closed') = (outcome IS NOT NULL))
);
INSERT INTO "operations" VALUES(1,'train','credit','2','f2',1,'closed',NULL,NULL,NULL,'failed','no rows','2026-11-01 12:00:00.000000',NULL,NULL);
INSERT INTO "operations" VALUES(2,'train','credit','2','f2',2,'started','https://ussouthcentral.services.azureml.net/jobs','job-1','models/credit/2/f2.2.ilearner',NULL,'','2026-11-01 12:00:00.000000','2026-11-01 12:00:00.000000','2026-11-01 14:00:00.000000');
CREATE TABLE targets (
	identity VARCHAR(1024) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	models JSON NOT NULL, 
	answers VARCHAR(64), 
	proof VARCHAR(32), 
	not_taken JSON NOT NULL, 
	written JSON NOT NULL, 
	converged_at DATETIME, 
	last_outcome VARCHAR(16) NOT NULL CHECK (last_outcome IN ('converged', 'failed', 'held')), 
	last_message TEXT NOT NULL, 
	last_at DATETIME NOT NULL, 
	failures INTEGER NOT NULL, 
	next_attempt_at DATETIME, 
	attempted VARCHAR(64), 
	PRIMARY KEY (identity)
);
INSERT INTO "targets" VALUES('w/s/a','a','ClassicEndpoint','[{"resource": "Trained", "model": "credit", "label": "1", "fingerprint": "f1", "base_location": "https://acc.blob.core.windows.net/", "relative_location": "models/credit/1/f1.ilearner"}]','d1','proven','{"MaxConcurrentCalls": 4}','{"AdminKey": "d2"}','2026-11-01 12:00:00.000000','converged','the probe is answered otherwise','2026-11-01 12:00:00.000000',0,NULL,NULL);
INSERT INTO "targets" VALUES('w/s/b','b','ClassicEndpoint','[]',NULL,NULL,'{}','{}',NULL,'failed','503','2026-11-01 12:00:00.000000',3,'2026-11-01 12:02:00.000000','0123456789abcdef');
CREATE TABLE versions (
	id INTEGER NOT NULL, 
	model VARCHAR(255) NOT NULL, 
	label VARCHAR(255) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL CHECK (state IN ('training', 'usable', 'failed')), 
	attempt INTEGER NOT NULL, 
	base_location TEXT, 
	relative_location TEXT, 
	metrics JSON NOT NULL, 
	message TEXT NOT NULL, 
	recipe JSON NOT NULL, 
	trained_seconds FLOAT, 
	updated_at DATETIME NOT NULL, 
	failures INTEGER NOT NULL, 
	next_attempt_at DATETIME, 
	PRIMARY KEY (id), 
	CHECK (state <> 'usable' OR (base_location IS NOT NULL AND relative_location IS NOT NULL))
);
INSERT INTO "versions" VALUES(1,'credit','1','f1','usable',1,'https://acc.blob.core.windows.net/','models/credit/1/f1.ilearner','{"AUC": 0.953, "F1": "nan"}','','{"training": "Credit training, endpoint default"}',61.5,'2026-11-01 12:00:00.000000',0,NULL);
INSERT INTO "versions" VALUES(2,'credit','2','f2','training',2,NULL,NULL,'{}','','{}',NULL,'2026-11-01 12:00:00.000000',0,NULL);
INSERT INTO "versions" VALUES(3,'credit','3','f3','failed',1,NULL,NULL,'{}','no rows','{}',NULL,'2026-11-01 12:00:00.000000',2,'2026-11-01 12:01:00.000000');
CREATE UNIQUE INDEX versions_key ON versions (model, label);
CREATE UNIQUE INDEX versions_usable_location ON versions (base_location, relative_location) WHERE state = 'usable';
CREATE UNIQUE INDEX operations_attempt ON operations (model, label, attempt);
CREATE UNIQUE INDEX operations_open ON operations (model, label) WHERE phase != 'closed';
CREATE INDEX targets_never_home ON targets (name) WHERE converged_at IS NULL;
CREATE INDEX events_run ON events (run_id, id);
CREATE INDEX events_subject ON events (subject, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',1);
INSERT INTO "sqlite_sequence" VALUES('operations',2);
COMMIT;
PRAGMA application_id = 1380270927;
PRAGMA user_version = 5;
