BEGIN TRANSACTION;
CREATE TABLE architectures (
	id TEXT NOT NULL, 
	depth INTEGER NOT NULL, 
	form JSON NOT NULL, 
	CONSTRAINT pk_architectures PRIMARY KEY (id)
);
INSERT INTO "architectures" VALUES('89bf14f8722745c2',2,'{"blocks":["\u00fcnder","\u00fcnder"],"width":8}');
CREATE TABLE artifacts (
	study_id INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	path TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_artifacts PRIMARY KEY (study_id, run, number, kind), 
	CONSTRAINT fk_artifacts_trials FOREIGN KEY(study_id, run, number) REFERENCES trials (study_id, run, number)
);
CREATE TABLE charges (
	id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	number INTEGER, 
	attempt INTEGER, 
	kind TEXT NOT NULL, 
	account TEXT NOT NULL, 
	flops BIGINT NOT NULL, 
	device_us BIGINT NOT NULL, 
	epochs INTEGER NOT NULL, 
	trials INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_charges PRIMARY KEY (id), 
	CONSTRAINT fk_charges_trials FOREIGN KEY(study_id, run, number) REFERENCES trials (study_id, run, number), 
	CONSTRAINT fk_charges_runs FOREIGN KEY(study_id, run) REFERENCES runs (study_id, run)
);
INSERT INTO "charges" VALUES(1,1,0,0,0,'train','search',10,20,1,1,'2026-11-25 01:28:44.528941');
INSERT INTO "charges" VALUES(2,1,0,1,0,'train','search',20,40,1,1,'2026-11-25 01:28:44.528941');
CREATE TABLE depth_profiles (
	study_id INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	level INTEGER NOT NULL, 
	weight DOUBLE NOT NULL, 
	CONSTRAINT pk_depth_profiles PRIMARY KEY (study_id, run, number, epoch, level), 
	CONSTRAINT fk_depth_profiles_epochs FOREIGN KEY(study_id, run, number, epoch) REFERENCES epochs (study_id, run, number, epoch)
);
INSERT INTO "depth_profiles" VALUES(1,0,1,1,0,0.25);
INSERT INTO "depth_profiles" VALUES(1,0,1,1,1,0.75);
CREATE TABLE epochs (
	study_id INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	val_accuracy DOUBLE, 
	val_loss DOUBLE, 
	train_loss DOUBLE, 
	metrics JSON NOT NULL, 
	flops BIGINT NOT NULL, 
	device_us BIGINT NOT NULL, 
	epochs INTEGER NOT NULL, 
	trials INTEGER NOT NULL, 
	CONSTRAINT pk_epochs PRIMARY KEY (study_id, run, number, epoch), 
	CONSTRAINT fk_epochs_trials FOREIGN KEY(study_id, run, number) REFERENCES trials (study_id, run, number)
);
INSERT INTO "epochs" VALUES(1,0,1,1,0.1,NULL,NULL,'{"val_accuracy":0.1,"lr":0.1}',9007199254740993,1,1,0);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	run INTEGER, 
	number INTEGER, 
	kind TEXT NOT NULL, 
	message TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (id), 
	CONSTRAINT fk_events_studies FOREIGN KEY(study_id) REFERENCES studies (id)
);
CREATE TABLE nas_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT nas_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "nas_version" VALUES('0001');
CREATE TABLE runs (
	study_id INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	label TEXT NOT NULL, 
	method TEXT NOT NULL, 
	options JSON NOT NULL, 
	seed BIGINT NOT NULL, 
	unit TEXT NOT NULL, 
	budget BIGINT NOT NULL, 
	spent BIGINT NOT NULL, 
	search_flops BIGINT NOT NULL, 
	search_device_us BIGINT NOT NULL, 
	final_flops BIGINT NOT NULL, 
	final_device_us BIGINT NOT NULL, 
	overshoot_flops BIGINT NOT NULL, 
	overshoot_device_us BIGINT NOT NULL, 
	phase TEXT NOT NULL, 
	stop_reason TEXT NOT NULL, 
	choice INTEGER, 
	depth INTEGER, 
	num_parameters BIGINT, 
	inference_flops BIGINT, 
	delivered_val_accuracy DOUBLE, 
	delivered_test_accuracy DOUBLE, 
	retrained_val_accuracy DOUBLE, 
	retrained_test_accuracy DOUBLE, 
	created_at DATETIME NOT NULL, 
	changed_at DATETIME NOT NULL, 
	CONSTRAINT pk_runs PRIMARY KEY (study_id, run), 
	CONSTRAINT ck_runs_final_device_us CHECK (final_device_us BETWEEN 0 AND 9223372036854775807), 
	CONSTRAINT ck_runs_final_flops CHECK (final_flops BETWEEN 0 AND 9223372036854775807), 
	CONSTRAINT ck_runs_overshoot_device_us CHECK (overshoot_device_us BETWEEN 0 AND 9223372036854775807), 
	CONSTRAINT ck_runs_overshoot_flops CHECK (overshoot_flops BETWEEN 0 AND 9223372036854775807), 
	CONSTRAINT ck_runs_search_device_us CHECK (search_device_us BETWEEN 0 AND 9223372036854775807), 
	CONSTRAINT ck_runs_search_flops CHECK (search_flops BETWEEN 0 AND 9223372036854775807), 
	CONSTRAINT ck_runs_within_budget CHECK (spent BETWEEN 0 AND budget), 
	CONSTRAINT fk_runs_studies FOREIGN KEY(study_id) REFERENCES studies (id)
);
INSERT INTO "runs" VALUES(1,0,'random','random','{"b":1,"a":[2.5]}',7,'flops',1152921504606846976,30,30,60,0,0,0,0,'searching','',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'2026-11-25 01:28:44.514614','2026-11-25 01:28:44.514614');
CREATE TABLE studies (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	status TEXT NOT NULL, 
	spec JSON NOT NULL, 
	spec_hash TEXT NOT NULL, 
	versions JSON NOT NULL, 
	host TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	changed_at DATETIME NOT NULL, 
	CONSTRAINT pk_studies PRIMARY KEY (id), 
	CONSTRAINT uq_studies_name UNIQUE (name)
);
INSERT INTO "studies" VALUES(1,'depths','running','{"name":"depths"}','e4d92e63da62b6a3','{"torch":"2.13"}','vm','2026-11-25 01:28:44.514614','2026-11-25 01:28:44.514614');
CREATE TABLE trials (
	study_id INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	status TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	architecture_id TEXT, 
	decisions JSON, 
	proposal JSON NOT NULL, 
	recipe TEXT NOT NULL, 
	depth INTEGER, 
	num_parameters BIGINT, 
	inference_flops BIGINT, 
	epochs_granted INTEGER NOT NULL, 
	epochs_trained INTEGER, 
	seed BIGINT NOT NULL, 
	parent INTEGER, 
	account TEXT NOT NULL, 
	reserved BIGINT NOT NULL, 
	attempt INTEGER NOT NULL, 
	val_accuracy DOUBLE, 
	val_loss DOUBLE, 
	train_loss DOUBLE, 
	metrics JSON, 
	measurement JSON, 
	flops BIGINT NOT NULL, 
	device_us BIGINT NOT NULL, 
	finish_order INTEGER, 
	run_spent BIGINT, 
	reused_from INTEGER, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	CONSTRAINT pk_trials PRIMARY KEY (study_id, run, number), 
	CONSTRAINT ck_trials_device_us CHECK (device_us BETWEEN 0 AND 9223372036854775807), 
	CONSTRAINT ck_trials_flops CHECK (flops BETWEEN 0 AND 9223372036854775807), 
	CONSTRAINT fk_trials_architectures FOREIGN KEY(architecture_id) REFERENCES architectures (id), 
	CONSTRAINT fk_trials_runs FOREIGN KEY(study_id, run) REFERENCES runs (study_id, run), 
	CONSTRAINT uq_trials_study_id_finish_order UNIQUE (study_id, finish_order)
);
INSERT INTO "trials" VALUES(1,0,0,'architecture','complete','','89bf14f8722745c2','{"depth":2,"bias":true}','{"kind":"architecture","relaxation":{},"recipe":"standard","recipe_options":{},"epochs":null,"min_epochs":null,"budget_share":null,"parent":null,"prunable":true,"controller_flops":0,"notes":{}}','standard',2,30,60,3,3,9223372036854775807,NULL,'search',100,0,0.5,NULL,NULL,'{"val_accuracy":0.5}','{"metrics":{"val_accuracy":0.5},"charges":[{"kind":"train","cost":{"flops":5,"device_us":10,"epochs":1,"trials":1}}],"epochs":3,"num_parameters":30,"inference_flops":60,"profile":[],"derived":[]}',10,20,0,10,NULL,'2026-11-25 01:28:44.528941','2026-11-25 01:28:44.528941');
INSERT INTO "trials" VALUES(1,0,1,'architecture','complete','','89bf14f8722745c2','{"depth":2,"bias":true}','{"kind":"architecture","relaxation":{},"recipe":"standard","recipe_options":{},"epochs":null,"min_epochs":null,"budget_share":null,"parent":null,"prunable":true,"controller_flops":0,"notes":{}}','standard',2,30,60,3,3,9223372036854775806,NULL,'search',100,0,0.7,NULL,NULL,'{"val_accuracy":0.7}','{"metrics":{"val_accuracy":0.7},"charges":[{"kind":"train","cost":{"flops":5,"device_us":10,"epochs":1,"trials":1}}],"epochs":3,"num_parameters":30,"inference_flops":60,"profile":[],"derived":[]}',20,40,1,30,NULL,'2026-11-25 01:28:44.528941','2026-11-25 01:28:44.528941');
CREATE INDEX ix_events_study_id ON events (study_id);
CREATE INDEX ix_charges_study_id_run_number ON charges (study_id, run, number);
CREATE VIEW v_incumbent AS 
-- The network that a run would deliver after each of its trials, against what it had spent by then, in its unit
-- (device time in seconds). Supernets and trials that were not completed are never delivered.
WITH scored AS (
    SELECT study_id, run, number, finish_order, run_spent, depth,
           CASE WHEN status = 'complete' AND kind <> 'relaxation' THEN val_accuracy END AS score
    FROM trials
    WHERE account = 'search' AND finish_order IS NOT NULL
), best AS (
    SELECT *,
           MAX(score) OVER (PARTITION BY study_id, run ORDER BY finish_order) AS best,
           MAX(score) OVER (PARTITION BY study_id, run ORDER BY finish_order
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS best_before
    FROM scored
), reigns AS (
    SELECT *,
           SUM(CASE WHEN score > best_before OR (best_before IS NULL AND score IS NOT NULL) THEN 1 ELSE 0 END)
               OVER (PARTITION BY study_id, run ORDER BY finish_order) AS reign
    FROM best
), held AS (
    SELECT *,
           FIRST_VALUE(number) OVER (PARTITION BY study_id, run, reign ORDER BY finish_order) AS first_number,
           FIRST_VALUE(depth) OVER (PARTITION BY study_id, run, reign ORDER BY finish_order) AS first_depth
    FROM reigns
)
SELECT studies.name AS study, study_id, run, runs.label, runs.method, runs.seed, runs.unit,
       held.finish_order, held.number,
       CAST(held.run_spent AS DOUBLE PRECISION) / CASE runs.unit WHEN 'device_seconds' THEN 1000000 ELSE 1 END AS spent,
       held.best AS best_val_accuracy,
       CASE WHEN held.reign > 0 THEN held.first_number END AS incumbent,
       CASE WHEN held.reign > 0 THEN held.first_depth END AS depth
FROM held JOIN runs USING (study_id, run) JOIN studies ON studies.id = study_id;
CREATE VIEW v_compare AS 
-- One row per run: what it was given and what it took, in its unit (device time in seconds), and how good its choice
-- is.
SELECT studies.name AS study, study_id, run, label, method, seed, unit,
       CAST(budget AS DOUBLE PRECISION) / CASE unit WHEN 'device_seconds' THEN 1000000 ELSE 1 END AS budget,
       CAST(spent AS DOUBLE PRECISION) / CASE unit WHEN 'device_seconds' THEN 1000000 ELSE 1 END AS spent,
       CAST(spent AS DOUBLE PRECISION) / NULLIF(budget, 0) AS spent_fraction,
       phase, stop_reason,
       delivered_val_accuracy, delivered_test_accuracy, retrained_val_accuracy, retrained_test_accuracy,
       depth, num_parameters, inference_flops
FROM runs JOIN studies ON studies.id = study_id;
CREATE VIEW v_depth AS 
-- How much weight a relaxation gave to each level after each epoch, beside the depth that its run chose.
SELECT studies.name AS study, study_id, run, label, method, seed, number, epoch, level, weight, depth AS chosen_depth
FROM depth_profiles JOIN runs USING (study_id, run) JOIN studies ON studies.id = study_id;
COMMIT;
